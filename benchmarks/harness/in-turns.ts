import type { Subject, Workload } from './compare.ts';
import { load, type LoadResult } from './load.ts';
import { cpuUs, processTree } from './process-cpu.ts';
import { median, round } from './statistics.ts';

/** A server under measurement, with its name. */
export interface Named extends Subject {
  readonly name: string;
}

/** How long each is measured, and how often. */
export interface Turns {
  /** Measured stretches of each; odd, so that one is the median. */
  readonly rounds: number;
  readonly stretchMs: number;
}

/** Figures of one server: medians of the rounds. */
export interface Figures {
  readonly name: string;
  readonly concurrency: number;
  readonly callsPerSecond: number;
  readonly p50Us: number;
  readonly p99Us: number;
  /** User and system time of the server's own process for one call, in microseconds. */
  readonly cpuUs: number;
  /** The same of the processes below it. */
  readonly childrenCpuUs: number;
  /** Its own CPU for a call over that of the first server: median of the rounds. */
  readonly cpuRatio: number;
}

interface Sample extends LoadResult {
  readonly cpuUs: number;
  readonly childrenCpuUs: number;
}

/** Calls before anything is measured. */
const WARM_UP_CALLS = 5_000;

/** Puts the same load on all servers in turns, so that what else the machine does hits all alike. */
export async function inTurns(
  servers: readonly Named[],
  workload: Omit<Workload, 'concurrencies'> & { readonly concurrency: number },
  { rounds, stretchMs }: Turns,
): Promise<Figures[]> {
  const measure = async (server: Named): Promise<Sample> => {
    const children = processTree(server.pid).filter((pid) => pid !== server.pid);
    const before = [cpuUs([server.pid]), cpuUs(children)] as const;
    const result = await load({ ...workload, port: server.port, durationMs: stretchMs });
    return {
      ...result,
      cpuUs: (cpuUs([server.pid]) - before[0]) / result.calls,
      childrenCpuUs: (cpuUs(children) - before[1]) / result.calls,
    };
  };
  for (const server of servers) {
    // By calls, not by time: on a busy machine a second is not enough for the code to be compiled.
    for (let calls = 0; calls < WARM_UP_CALLS;) calls += (await measure(server)).calls;
  }
  const samples = servers.map((): Sample[] => []);
  for (let index = 0; index < rounds; index += 1) {
    for (const [place, server] of servers.entries()) samples[place]?.push(await measure(server));
  }
  return servers.map(({ name }, place) => ({
    name,
    concurrency: workload.concurrency,
    ...figuresOf(samples[place] ?? [], samples[0] ?? []),
  }));
}

function figuresOf(
  samples: readonly Sample[],
  first: readonly Sample[],
): Omit<Figures, 'name' | 'concurrency'> {
  const of = (pick: (sample: Sample) => number): number => median(samples.map(pick));
  return {
    callsPerSecond: of((sample) => sample.callsPerSecond),
    p50Us: of((sample) => sample.p50Us),
    p99Us: of((sample) => sample.p99Us),
    cpuUs: round(of((sample) => sample.cpuUs)),
    childrenCpuUs: round(of((sample) => sample.childrenCpuUs)),
    cpuRatio: round(
      median(samples.map((sample, index) => sample.cpuUs / (first[index]?.cpuUs ?? Number.NaN))),
      2,
    ),
  };
}
