import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type ChildServer, startChildServer } from '../harness/child-server.ts';
import { ROOT, startKernel } from '../harness/kernel-server.ts';
import { cpuUs, residentBytes } from '../harness/process-cpu.ts';
import { median, round } from '../harness/statistics.ts';
import type { GoPeers } from './go-peers.ts';
import { againstGoal, type Part } from './verdict.ts';

const STARTS = 7;
/** Time in which what was needed for the start only is given back, in milliseconds. */
const SETTLE_MS = 1_000;

/** What a kernel without plugins takes before anybody calls: time to serve, processor time, memory. */
export async function idleBenchmark(go: GoPeers | undefined): Promise<Part> {
  const bare = path.join(ROOT, 'dist/benchmarks/rpc/bare-server.js');
  const subjects: readonly (readonly [string, () => Promise<ChildServer>])[] = [
    ['lamella', () => startKernel([])],
    ['bare grpc-js', () => startChildServer((ready) => [bare, ready])],
    ...(go === undefined ? [] : [['grpc-go', () => go.startEcho()] as const]),
  ];
  const samples = subjects.map((): Sample[] => []);
  for (let index = 0; index < STARTS; index += 1) {
    for (const [place, [, start]] of subjects.entries()) samples[place]?.push(await sample(start));
  }
  const rows = subjects.map(([name], place) => {
    const of = (pick: (each: Sample) => number): number => median((samples[place] ?? []).map(pick));
    return {
      name,
      readyMs: round(of((each) => each.readyMs)),
      cpuMs: round(of((each) => each.cpuMs)),
      residentMiB: round(
        of((each) => each.residentMiB),
        1,
      ),
    };
  });
  const [own] = rows;
  return {
    what: `start of a process until it serves, median of ${STARTS}`,
    figures: rows,
    verdict: [
      againstGoal('ms until an idle kernel serves', own?.readyMs ?? Number.NaN, 500),
      againstGoal('MB of an idle kernel', round((own?.residentMiB ?? Number.NaN) * 1.048_576, 1), 100),
    ],
  };
}

interface Sample {
  readonly readyMs: number;
  readonly cpuMs: number;
  readonly residentMiB: number;
}

async function sample(start: () => Promise<ChildServer>): Promise<Sample> {
  const server = await start();
  const cpuMs = cpuUs([server.pid]) / 1_000;
  await delay(SETTLE_MS);
  const residentMiB = residentBytes(server.pid) / 2 ** 20;
  await server.stop();
  return { readyMs: server.readyMs, cpuMs, residentMiB };
}
