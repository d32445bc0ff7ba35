import { createServer } from 'node:http';
import path from 'node:path';
import { loadRuntime, type Runtime, type RuntimeSession } from '../../sdk/ort/runtime.ts';
import { serveModelInfer } from '../harness/bare-inference.ts';

// What one writes with grpc-js, proto-loader, node:http and onnxruntime-node alone: one process, no checks, no batches.
// Parameters: folder of models, port of gRPC, port of HTTP.

interface BareRequest {
  readonly model_name: string;
  readonly inputs: readonly {
    readonly shape: readonly number[];
    readonly contents: { readonly fp32_contents: readonly number[] } | null;
  }[];
  readonly raw_input_contents: readonly Buffer[];
}

interface BareBody {
  readonly inputs: readonly { readonly shape: readonly number[]; readonly data: readonly number[] }[];
}

interface Answer {
  readonly dims: readonly number[];
  readonly data: Float32Array;
}

class BareModels {
  readonly #runtime: Runtime;
  readonly #sessions: ReadonlyMap<string, RuntimeSession>;

  constructor(runtime: Runtime, sessions: ReadonlyMap<string, RuntimeSession>) {
    this.#runtime = runtime;
    this.#sessions = sessions;
  }

  async run(model: string, values: Float32Array, shape: readonly number[]): Promise<Answer> {
    const session = this.#sessions.get(model);
    if (session === undefined) throw new Error(`There is no model ${model}.`);
    const outputs = await session.run({ x: new this.#runtime.Tensor('float32', values, shape.map(Number)) });
    return outputs['y'] as unknown as Answer;
  }
}

async function openModels(folder: string): Promise<BareModels> {
  const runtime = await loadRuntime();
  const sessions = new Map<string, RuntimeSession>();
  for (const name of ['linear', 'image']) {
    const file = path.join(folder, name, '1/model.onnx');
    const options = { intraOpNumThreads: 1, interOpNumThreads: 1 };
    sessions.set(name, await runtime.InferenceSession.create(file as unknown as Uint8Array, options));
  }
  return new BareModels(runtime, sessions);
}

function floatsOf({ inputs, raw_input_contents: [raw] }: BareRequest): Float32Array {
  if (raw === undefined) return Float32Array.from(inputs[0]?.contents?.fp32_contents ?? []);
  if (raw.byteOffset % 4 === 0) return new Float32Array(raw.buffer, raw.byteOffset, raw.byteLength / 4);
  return new Float32Array(raw.buffer.slice(raw.byteOffset, raw.byteOffset + raw.byteLength));
}

async function serveGrpc(models: BareModels, port: number): Promise<void> {
  const answer = async (request: BareRequest): Promise<unknown> => {
    const { dims, data } = await models.run(
      request.model_name,
      floatsOf(request),
      request.inputs[0]?.shape ?? [],
    );
    return {
      model_name: request.model_name,
      model_version: '1',
      outputs: [{ name: 'y', datatype: 'FP32', shape: dims }],
      raw_output_contents: [Buffer.from(data.buffer, data.byteOffset, data.byteLength)],
    };
  };
  await serveModelInfer(answer, port);
}

function serveHttp(models: BareModels, port: number): void {
  const answer = async (model: string, body: BareBody): Promise<string> => {
    const [input] = body.inputs;
    const { dims, data } = await models.run(model, Float32Array.from(input?.data ?? []), input?.shape ?? []);
    const outputs = [{ name: 'y', datatype: 'FP32', shape: dims, data: [...data] }];
    return JSON.stringify({ model_name: model, model_version: '1', outputs });
  };
  createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const model = request.url?.split('/')[3] ?? '';
      answer(model, JSON.parse(Buffer.concat(chunks).toString()) as BareBody).then(
        (text) => response.writeHead(200, { 'content-type': 'application/json' }).end(text),
        () => response.writeHead(400).end(),
      );
    });
  }).listen(port, '127.0.0.1');
}

const [folder = '', grpcPort, httpPort] = process.argv.slice(2);
const models = await openModels(folder);
await serveGrpc(models, Number(grpcPort));
serveHttp(models, Number(httpPort));
