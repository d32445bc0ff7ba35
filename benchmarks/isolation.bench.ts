import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { create, toBinary } from '@bufbuild/protobuf';
import { SayRequestSchema } from '../examples/echo/gen/echo/v1/echo_service_pb.ts';
import { type ChildServer, startChildServer } from './harness/child-server.ts';
import { load } from './harness/load.ts';
import { cpuUs, pin, processTree } from './harness/process-cpu.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const LEVELS = ['INLINE', 'WORKER', 'PROCESS'] as const;
type Level = (typeof LEVELS)[number];

const PAYLOAD_BYTES = 100;
const CONCURRENCY = 16;
/** Measured stretches of each level; odd, so that one is the median. */
const ROUNDS = 15;
const STRETCH_MS = 1_200;

interface Sample {
  readonly callsPerSecond: number;
  readonly p50Us: number;
  readonly p99Us: number;
  /** Time of the kernel's process for one call; a worker's is part of it. */
  readonly kernelCpuUs: number;
  /** Time of the plugin's own process for one call. */
  readonly pluginCpuUs: number;
}

/** The same echo plugin at each level of isolation, in turns: what isolation costs. */
export async function isolationBenchmark(): Promise<object> {
  const servers = await Promise.all(LEVELS.map(startAt));
  try {
    const isPinned = servers.every(({ pid }) => pin(processTree(pid), 0)) && pin([process.pid], 1);
    const rounds: Sample[][] = [];
    for (const server of servers) await measure(server);
    for (let round = 0; round < ROUNDS; round += 1) {
      const samples: Sample[] = [];
      for (const server of servers) samples.push(await measure(server));
      rounds.push(samples);
    }
    return {
      what: `unary echo of ${PAYLOAD_BYTES} bytes at ${CONCURRENCY} at once; closed loop over loopback`,
      machine: { cores: cpus().length, cpu: cpus()[0]?.model ?? '', node: process.version },
      pinned: isPinned ? 'servers on core 0, client on core 1' : 'no',
      rounds: ROUNDS,
      stretchMs: STRETCH_MS,
      rows: LEVELS.map((level, index) => row(level, index, rounds)),
    };
  } finally {
    for (const server of servers) await server.stop();
  }
}

function row(level: Level, index: number, rounds: readonly (readonly Sample[])[]): object {
  const of = (pick: (sample: Sample) => number): number =>
    Math.round(median(rounds.flatMap((samples) => pickAt(samples, index, pick))));
  const ratios = rounds.flatMap((samples) => {
    const [own, inline] = [samples[index], samples[0]];
    return own === undefined || inline === undefined ? [] : [own.kernelCpuUs / inline.kernelCpuUs];
  });
  return {
    level,
    callsPerSecond: of((sample) => sample.callsPerSecond),
    p50Us: of((sample) => sample.p50Us),
    p99Us: of((sample) => sample.p99Us),
    kernelCpuUsPerCall: of((sample) => sample.kernelCpuUs),
    pluginCpuUsPerCall: of((sample) => sample.pluginCpuUs),
    kernelCpuRatioToInline: Math.round(median(ratios) * 100) / 100,
  };
}

function pickAt(samples: readonly Sample[], index: number, pick: (sample: Sample) => number): number[] {
  const sample = samples[index];
  return sample === undefined ? [] : [pick(sample)];
}

function median(values: readonly number[]): number {
  return values.toSorted((left, right) => left - right)[Math.floor(values.length / 2)] ?? Number.NaN;
}

async function startAt(level: Level): Promise<ChildServer> {
  return startChildServer((ready, home) => {
    mkdirSync(home, { recursive: true });
    const config = { plugins: { 'example.echo': { isolation: level } } };
    writeFileSync(path.join(home, 'config.json'), JSON.stringify(config));
    const program = path.join(ROOT, 'dist/kernel/cli/main.js');
    const folders = ['--home', home, '--plugins', path.join(ROOT, 'examples/echo'), '--ready-file', ready];
    return [program, 'start', ...folders, '--grpc-port', '0', '--http-port', '0', '--metrics-port', '0'];
  });
}

async function measure({ pid, port }: ChildServer): Promise<Sample> {
  const plugins = processTree(pid).filter((other) => other !== pid);
  const before = [cpuUs([pid]), cpuUs(plugins)] as const;
  const payload = new Uint8Array(PAYLOAD_BYTES);
  const result = await load({
    port,
    path: '/echo.v1.EchoService/Say',
    request: toBinary(SayRequestSchema, create(SayRequestSchema, { payload })),
    concurrency: CONCURRENCY,
    durationMs: STRETCH_MS,
  });
  const { callsPerSecond, p50Us, p99Us, calls } = result;
  return {
    callsPerSecond,
    p50Us,
    p99Us,
    kernelCpuUs: (cpuUs([pid]) - before[0]) / calls,
    pluginCpuUs: (cpuUs(plugins) - before[1]) / calls,
  };
}
