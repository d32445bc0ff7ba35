import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { create, toBinary } from '@bufbuild/protobuf';
import { ModelInferRequestSchema } from '../proto/gen/inference/grpc_inference_service_pb.ts';
import { ROOT, ServingKernel } from '../test/e2e/serving-kernel.ts';
import { load, type LoadResult } from './infer/load.ts';
import { cpuUs, pin, processTree } from './infer/process-cpu.ts';

/** Lamella's ModelInfer against a bare handler of grpc-js and onnxruntime-node: same model, request, client and core. */
const CONCURRENCIES: readonly number[] = [1, 16, 64];
const PAIRS = 5;
const STRETCH_MS = 1_500;
const WARM_UP_MS = 1_500;
const PATH = '/inference.GRPCInferenceService/ModelInfer';

interface Subject {
  readonly name: string;
  readonly port: number;
  readonly pid: number;
}

interface Sample extends LoadResult {
  /** User and system time of the server and its children for one call, in microseconds. */
  readonly cpuUsPerCall: number;
}

interface Row {
  readonly concurrency: number;
  readonly lamella: Sample;
  readonly bare: Sample;
  /** Lamella's calls a second over the peer's: median of the pairs. */
  readonly throughputRatio: number;
  /** Lamella's CPU for a call over the peer's: median of the pairs. */
  readonly cpuRatio: number;
}

/** Runs the comparison and returns what goes into `results/infer.json`. */
export async function inferBenchmark(): Promise<object> {
  const folder = await mkdtemp(path.join(tmpdir(), 'lamella-bench-'));
  const kernel = await ServingKernel.start();
  const bare = await startBare(folder);
  try {
    const lamella: Subject = {
      name: 'lamella',
      port: Number(kernel.grpc.split(':').at(-1)),
      pid: kernel.pid,
    };
    const pinned = [lamella, bare].every(({ pid }) => pin(processTree(pid), 0)) && pin([process.pid], 1);
    const rows: Row[] = [];
    for (const concurrency of CONCURRENCIES) rows.push(await compare(lamella, bare, concurrency));
    return {
      what: 'ModelInfer of one 28x28 UINT8 image, raw contents; light linear model, 1 thread; closed loop over loopback',
      peer: 'grpc-js 1.14 + proto-loader 0.8 + onnxruntime-node 1.30, run() in the handler, no batching, no checks',
      machine: { cores: cpus().length, cpu: cpus()[0]?.model ?? '', node: process.version },
      pinned: pinned ? 'servers on core 0, client on core 1' : 'no',
      pairs: PAIRS,
      stretchMs: STRETCH_MS,
      rows,
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
    if (text !== '') return { name: 'bare', port: Number(text), pid: child.pid ?? 0 };
    await delay(50);
  }
  throw new Error('The bare server did not start; its reason stands above.');
}

/** Measures both in turns, so that what else the machine does hits both alike. */
async function compare(lamella: Subject, bare: Subject, concurrency: number): Promise<Row> {
  for (const subject of [lamella, bare]) await measure(subject, concurrency, WARM_UP_MS);
  const samples: { lamella: Sample; bare: Sample }[] = [];
  for (let pair = 0; pair < PAIRS; pair += 1) {
    const first = await measure(lamella, concurrency, STRETCH_MS);
    samples.push({ lamella: first, bare: await measure(bare, concurrency, STRETCH_MS) });
  }
  return {
    concurrency,
    lamella: middle(samples.map((sample) => sample.lamella)),
    bare: middle(samples.map((sample) => sample.bare)),
    throughputRatio: round(
      median(samples.map((pair) => pair.lamella.callsPerSecond / pair.bare.callsPerSecond)),
    ),
    cpuRatio: round(median(samples.map((pair) => pair.lamella.cpuUsPerCall / pair.bare.cpuUsPerCall))),
  };
}

async function measure(subject: Subject, concurrency: number, durationMs: number): Promise<Sample> {
  const pids = processTree(subject.pid);
  const before = cpuUs(pids);
  const result = await load({ port: subject.port, path: PATH, request: REQUEST, concurrency, durationMs });
  return { ...result, cpuUsPerCall: Math.round((cpuUs(pids) - before) / result.calls) };
}

const REQUEST: Uint8Array = toBinary(
  ModelInferRequestSchema,
  create(ModelInferRequestSchema, {
    modelName: 'digits',
    inputs: [{ name: 'image', datatype: 'UINT8', shape: [1n, 28n, 28n] }],
    rawInputContents: [new Uint8Array(784).fill(7)],
  }),
);

/** The sample with the median throughput. */
function middle(samples: readonly Sample[]): Sample {
  const sorted = samples.toSorted((left, right) => left.callsPerSecond - right.callsPerSecond);
  const sample = sorted[Math.floor(sorted.length / 2)];
  if (sample === undefined) throw new Error('Nothing was measured.');
  return sample;
}

function median(values: readonly number[]): number {
  return values.toSorted((left, right) => left - right)[Math.floor(values.length / 2)] ?? Number.NaN;
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const result = await inferBenchmark();
  const file = path.join(ROOT, 'benchmarks', 'results', 'infer.json');
  await mkdir(path.dirname(file), { recursive: true });
  await writeFile(file, `${JSON.stringify(result, undefined, 2)}\n`);
  console.log(JSON.stringify(result, undefined, 2));
}
