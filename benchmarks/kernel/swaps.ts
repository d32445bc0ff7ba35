import { appendFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { readBundle } from '../../kernel/loader/bundle.ts';
import { copyEcho, type EchoPlugin } from '../../test/support/echo-plugin.ts';
import type { ChildServer } from '../harness/child-server.ts';
import { type Level, reload, startKernel } from '../harness/kernel-server.ts';
import { type PacedResult, whilePaced } from '../harness/paced.ts';
import { median, round } from '../harness/statistics.ts';
import { SAY } from './echo-request.ts';
import { againstGoal, type Part } from './verdict.ts';

/** Swaps at each level; a thousand in a thread or process of their own take minutes. */
const SWAPS: Readonly<Record<Level, number>> = {
  INLINE: swapsOr(1_000),
  WORKER: swapsOr(50),
  PROCESS: swapsOr(50),
};
const CALLS_PER_SECOND = 300;
const LEVELS: readonly Level[] = ['INLINE', 'WORKER', 'PROCESS'];

/** What callers notice while a plugin is replaced again and again: calls at a fixed rate, with swaps and without. */
export async function swapsBenchmark(): Promise<Part> {
  const rows: Row[] = [];
  for (const level of LEVELS) rows.push(await swapsAt(level));
  return {
    what: `${CALLS_PER_SECOND} calls a second, timed from when each was due; swaps of a built plugin one after another, then as long without`,
    figures: rows,
    verdict: rows.flatMap(({ level, swaps, failed, addedP99Ms }) => [
      againstGoal(`failed calls in ${swaps} swaps at ${level}`, failed, 0),
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
  const built = await buildPlugin(plugin);
  const swaps = SWAPS[level];
  const kernel = await startKernel([plugin.directory], level);
  try {
    const swap = async (index: number): Promise<number> => swapTo(kernel, { plugin, built, index });
    await swap(0);
    const swapMs: number[] = [];
    const load = { ...SAY, port: kernel.port, callsPerSecond: CALLS_PER_SECOND };
    const during = await whilePaced(load, async () => {
      for (let index = 1; index <= swaps; index += 1) swapMs.push(await swap(index));
    });
    const totalMs = swapMs.reduce((sum, ms) => sum + ms, 0);
    const without = await whilePaced(load, () => pause(totalMs));
    return {
      level,
      swaps,
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

/** Builds a plugin as `lamella plugin pack` does: what is put into service is compiled already. */
async function buildPlugin(plugin: EchoPlugin): Promise<string> {
  const file = path.join(plugin.directory, 'plugin.cjs');
  const source = {
    pluginId: 'example.echo',
    directory: plugin.directory,
    module: 'plugin.ts',
    externals: [],
  };
  await writeFile(file, (await readBundle(source)).code);
  await plugin.setManifest({ entry: { module: 'plugin.cjs' } });
  return file;
}

interface Swap {
  readonly plugin: EchoPlugin;
  /** File with its code, which is other code each time. */
  readonly built: string;
  readonly index: number;
}

/** Replaces the plugin and returns the milliseconds that took. */
async function swapTo(kernel: ChildServer, { plugin, built, index }: Swap): Promise<number> {
  await appendFile(built, `// ${index}\n`);
  await plugin.setVersion(`0.2.${index}`);
  const startMs = performance.now();
  await reload(kernel, 'example.echo');
  return performance.now() - startMs;
}

function swapsOr(usual: number): number {
  return Number(process.env['LAMELLA_BENCH_SWAPS'] ?? usual);
}

async function pause(ms: number): Promise<void> {
  await new Promise<void>((resolve) => {
    setTimeout(resolve, ms);
  });
}
