import { copyEcho, type EchoPlugin } from '../../test/support/echo-plugin.ts';
import type { ChildServer } from '../harness/child-server.ts';
import { type Level, reload, startKernel } from '../harness/kernel-server.ts';
import { type PacedResult, whilePaced } from '../harness/paced.ts';
import { median, round } from '../harness/statistics.ts';
import { SAY } from './echo-request.ts';
import { againstGoal, type Part } from './verdict.ts';

/** Swaps at each level; a thousand take an hour. */
const SWAPS = Number(process.env['LAMELLA_BENCH_SWAPS'] ?? 20);
const CALLS_PER_SECOND = 300;
const LEVELS: readonly Level[] = ['INLINE', 'WORKER', 'PROCESS'];

/** What callers notice while a plugin is replaced again and again: calls at a fixed rate, with swaps and without. */
export async function swapsBenchmark(): Promise<Part> {
  const rows: Row[] = [];
  for (const level of LEVELS) rows.push(await swapsAt(level));
  return {
    what: `${CALLS_PER_SECOND} calls a second, timed from when each was due; ${SWAPS} swaps one after another, then as long without`,
    figures: rows,
    verdict: rows.flatMap(({ level, failed, addedP99Ms }) => [
      againstGoal(`failed calls in ${SWAPS} swaps at ${level}`, failed, 0),
      againstGoal(`ms more at p99 during swaps at ${level}`, addedP99Ms, 5),
    ]),
  };
}

interface Row {
  readonly level: Level;
  readonly swaps: number;
  /** How long one took; half of them no longer. */
  readonly swapMs: number;
  readonly failed: number;
  readonly during: PacedResult;
  readonly without: PacedResult;
  readonly addedP99Ms: number;
}

async function swapsAt(level: Level): Promise<Row> {
  const plugin = await copyEcho();
  const kernel = await startKernel([plugin.directory], level);
  try {
    await swap(kernel, plugin, 0);
    const swapMs: number[] = [];
    const load = { ...SAY, port: kernel.port, callsPerSecond: CALLS_PER_SECOND };
    const during = await whilePaced(load, async () => {
      for (let index = 1; index <= SWAPS; index += 1) swapMs.push(await swap(kernel, plugin, index));
    });
    const totalMs = swapMs.reduce((sum, ms) => sum + ms, 0);
    const without = await whilePaced(load, () => pause(totalMs));
    return {
      level,
      swaps: SWAPS,
      swapMs: round(median(swapMs)),
      failed: during.failed + without.failed,
      during,
      without,
      addedP99Ms: round(during.p99Ms - without.p99Ms, 2),
    };
  } finally {
    await kernel.stop();
    await plugin.remove();
  }
}

/** Replaces the plugin and returns the milliseconds that took. */
async function swap(kernel: ChildServer, plugin: EchoPlugin, index: number): Promise<number> {
  await plugin.setVersion(`0.2.${index}`);
  const startMs = performance.now();
  await reload(kernel, 'example.echo');
  return performance.now() - startMs;
}

async function pause(ms: number): Promise<void> {
  await new Promise<void>((resolve) => {
    setTimeout(resolve, ms);
  });
}
