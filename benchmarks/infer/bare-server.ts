import { writeFileSync } from 'node:fs';
import { loadRuntime } from '../../sdk/ort/runtime.ts';
import { lightModel } from '../../test/e2e/serving-kernel.ts';
import { serveModelInfer } from '../harness/bare-inference.ts';

// The peer of infer.bench.ts: what one writes with grpc-js, proto-loader and onnxruntime-node alone. It checks nothing,
// joins nothing, and its event loop stands still while the model runs. Its only parameter is the file to put its port in.

interface BareRequest {
  readonly model_name: string;
  readonly inputs: readonly { readonly shape: readonly number[] }[];
  readonly raw_input_contents: readonly Uint8Array[];
}

const DATATYPES: Readonly<Record<string, string>> = { float32: 'FP32', int64: 'INT64' };

async function start(portFile: string): Promise<void> {
  const runtime = await loadRuntime();
  const session = await runtime.InferenceSession.create(lightModel(), {
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
  });
  const answer = async (request: BareRequest): Promise<unknown> => {
    const [input] = request.inputs;
    const [raw] = request.raw_input_contents;
    const outputs = await session.run({
      image: new runtime.Tensor('uint8', new Uint8Array(raw ?? []), (input?.shape ?? []).map(Number)),
    });
    const entries = Object.entries(outputs);
    return {
      model_name: request.model_name,
      outputs: entries.map(([name, { type, dims }]) => ({ name, datatype: DATATYPES[type], shape: dims })),
      raw_output_contents: entries.map(([, { data }]) =>
        'buffer' in data ? Buffer.from(data.buffer, data.byteOffset, data.byteLength) : Buffer.alloc(0),
      ),
    };
  };
  writeFileSync(portFile, String(await serveModelInfer(answer, 0)));
}

await start(process.argv[2] ?? '');
