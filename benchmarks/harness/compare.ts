import { cpus } from 'node:os';
import { load, type LoadResult } from './load.ts';
import { cpuUs, pin, processTree } from './process-cpu.ts';
import { median } from './statistics.ts';

/** Measured stretches of each server; odd, so that one is the median. */
const PAIRS = 15;
const STRETCH_MS = 1_500;
const WARM_UP_MS = 1_500;

/** A server under measurement. */
export interface Subject {
  readonly port: number;
  readonly pid: number;
}

/** A method and the request it is called with. */
export interface Workload {
  readonly path: string;
  readonly request: Uint8Array;
  readonly concurrencies: readonly number[];
}

/** Figures of one stretch. */
export interface Sample extends LoadResult {
  /** User and system time of the server and its children for one call, in microseconds. */
  readonly cpuUsPerCall: number;
}

/** Both servers at one concurrency. */
export interface ComparisonRow {
  readonly concurrency: number;
  readonly lamella: Sample;
  readonly bare: Sample;
  /** Lamella's calls a second over the peer's: median of the pairs. */
  readonly throughputRatio: number;
  /** Lamella's CPU for a call over the peer's: median of the pairs. */
  readonly cpuRatio: number;
}

/** A comparison with all that is needed to judge it. */
export interface Comparison {
  readonly machine: { readonly cores: number; readonly cpu: string; readonly node: string };
  readonly pinned: string;
  readonly pairs: number;
  readonly stretchMs: number;
  readonly rows: readonly ComparisonRow[];
}

/** Puts the same load on both servers in turns, so that what else the machine does hits both alike. */
export async function compare(lamella: Subject, bare: Subject, workload: Workload): Promise<Comparison> {
  const isPinned = [lamella, bare].every(({ pid }) => pin(processTree(pid), 0)) && pin([process.pid], 1);
  const rows: ComparisonRow[] = [];
  for (const concurrency of workload.concurrencies) {
    rows.push(await compareAt(concurrency, { lamella, bare, workload }));
  }
  return {
    machine: { cores: cpus().length, cpu: cpus()[0]?.model ?? '', node: process.version },
    pinned: isPinned ? 'servers on core 0, client on core 1' : 'no',
    pairs: PAIRS,
    stretchMs: STRETCH_MS,
    rows,
  };
}

interface Pair {
  readonly lamella: Subject;
  readonly bare: Subject;
  readonly workload: Workload;
}

async function compareAt(concurrency: number, { lamella, bare, workload }: Pair): Promise<ComparisonRow> {
  const measure = (subject: Subject, durationMs: number): Promise<Sample> =>
    stretch(subject, { ...workload, concurrency, durationMs });
  for (const subject of [lamella, bare]) await measure(subject, WARM_UP_MS);
  const samples: { lamella: Sample; bare: Sample }[] = [];
  for (let pair = 0; pair < PAIRS; pair += 1) {
    const first = await measure(lamella, STRETCH_MS);
    samples.push({ lamella: first, bare: await measure(bare, STRETCH_MS) });
  }
  const ratio = (value: (sample: Sample) => number): number =>
    Math.round(median(samples.map((pair) => value(pair.lamella) / value(pair.bare))) * 100) / 100;
  return {
    concurrency,
    lamella: middle(samples.map((sample) => sample.lamella)),
    bare: middle(samples.map((sample) => sample.bare)),
    throughputRatio: ratio((sample) => sample.callsPerSecond),
    cpuRatio: ratio((sample) => sample.cpuUsPerCall),
  };
}

interface Stretch {
  readonly path: string;
  readonly request: Uint8Array;
  readonly concurrency: number;
  readonly durationMs: number;
}

async function stretch(
  subject: Subject,
  { path, request, concurrency, durationMs }: Stretch,
): Promise<Sample> {
  const pids = processTree(subject.pid);
  const before = cpuUs(pids);
  const result = await load({ port: subject.port, path, request, concurrency, durationMs });
  return { ...result, cpuUsPerCall: Math.round((cpuUs(pids) - before) / result.calls) };
}

/** The sample with the median throughput. */
function middle(samples: readonly Sample[]): Sample {
  const sorted = samples.toSorted((left, right) => left.callsPerSecond - right.callsPerSecond);
  const sample = sorted[Math.floor(sorted.length / 2)];
  if (sample === undefined) throw new Error('Nothing was measured.');
  return sample;
}
