import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { create, toBinary } from '@bufbuild/protobuf';
import { ModelInferRequestSchema } from '../proto/gen/inference/grpc_inference_service_pb.ts';
import { ServingKernel } from '../test/e2e/serving-kernel.ts';
import { compare, type Subject } from './harness/compare.ts';

/** Lamella's ModelInfer against a bare handler of grpc-js and onnxruntime-node: same model, request, client and core. */
const CONCURRENCIES: readonly number[] = [1, 16, 64];
const PATH = '/inference.GRPCInferenceService/ModelInfer';

/** Runs the comparison and returns what goes into `results/infer.json`. */
export async function inferBenchmark(): Promise<object> {
  const folder = await mkdtemp(path.join(tmpdir(), 'lamella-bench-'));
  const kernel = await ServingKernel.start();
  const bare = await startBare(folder);
  try {
    const lamella: Subject = { port: Number(kernel.grpc.split(':').at(-1)), pid: kernel.pid };
    return {
      what: 'ModelInfer of one 28x28 UINT8 image, raw contents; light linear model, 1 thread; closed loop over loopback',
      peer: 'grpc-js 1.14 + proto-loader 0.8 + onnxruntime-node 1.30, run() in the handler, no batching, no checks',
      ...(await compare(lamella, bare, { path: PATH, request: REQUEST, concurrencies: CONCURRENCIES })),
    };
  } finally {
    process.kill(bare.pid, 'SIGKILL');
    await kernel.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

async function startBare(folder: string): Promise<Subject> {
  const portFile = path.join(folder, 'port');
  const entry = fileURLToPath(new URL('./infer/bare-server.js', import.meta.url));
  const child = spawn(process.execPath, [entry, portFile], { stdio: ['ignore', 'ignore', 'inherit'] });
  for (let attempt = 0; attempt < 200 && child.exitCode === null; attempt += 1) {
    const text = await readFile(portFile, 'utf8').catch(() => '');
    if (text !== '') return { port: Number(text), pid: child.pid ?? 0 };
    await delay(50);
  }
  throw new Error('The bare server did not start; its reason stands above.');
}

const REQUEST: Uint8Array = toBinary(
  ModelInferRequestSchema,
  create(ModelInferRequestSchema, {
    modelName: 'digits',
    inputs: [{ name: 'image', datatype: 'UINT8', shape: [1n, 28n, 28n] }],
    rawInputContents: [new Uint8Array(784).fill(7)],
  }),
);
