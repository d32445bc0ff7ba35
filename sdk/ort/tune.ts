import { openSession } from './open-session.ts';
import type { OrtSession } from './session.ts';
import { type TuneData, tuneInputs } from './tune-inputs.ts';

/** One way to run a model. */
export interface Setting {
  /** Processes, each with its own session. */
  readonly instances: number;
  /** Threads of one operator. */
  readonly threads: number;
  /** Rows of one run. */
  readonly batchRows: number;
}

/** What a setting gave. */
export interface Measured extends Setting {
  readonly rowsPerSecond: number;
  /** Half of the runs took no longer, in milliseconds. */
  readonly p50Ms: number;
  /** 99 of 100 runs took no longer, in milliseconds. */
  readonly p99Ms: number;
}

/** How a model is tuned. */
export interface TuneOptions {
  /** ONNX file. */
  readonly model: Uint8Array;
  /** Processors that may be used: no setting has more instances times threads. */
  readonly cores: number;
  /** Rows of the largest batch. */
  readonly maxBatchRows: number;
  /** Time for each setting in milliseconds. */
  readonly settingMs: number;
  /** Longest p99 of a run in milliseconds; settings above it are not taken. `undefined` for none. */
  readonly latencyMs?: number | undefined;
  /** Sizes of inputs by name, for those whose dimensions beside the first vary; 1 where nothing is said. */
  readonly shapes?: Readonly<Record<string, readonly number[]>>;
  /** What the model is given; `random` where nothing is said. */
  readonly data?: TuneData;
  /** Told of each setting once it was measured. */
  readonly onMeasured?: (measured: Measured, done: number, total: number) => void;
  readonly signal?: AbortSignal | undefined;
}

/** What tuning found. */
export interface Tuning {
  /** The fastest setting within the limit, the cheapest of those that are as fast. */
  readonly best: Measured;
  /** All that was measured. */
  readonly curve: readonly Measured[];
  /** True when rows may be joined: the first dimension of every input varies. */
  readonly isBatchable: boolean;
}

const WARM_UP_RUNS = 5;
/** Settings this near to the fastest count as as fast: the rest is noise. */
const AS_FAST = 0.97;

/**
 * Measures instances, threads and rows of a batch on the real model, and chooses.
 *
 * @throws ORT_MODEL_REJECTED ORT_RUN_FAILED ORT_CANCELLED, a RangeError for data that does not fit, and others of {@link openSession}
 */
export async function tuneModel(options: TuneOptions): Promise<Tuning> {
  const placements = placementsFor(options.cores);
  const curve: Measured[] = [];
  let isBatchable = false;
  for (const { instances, threads } of placements) {
    const { model, signal } = options;
    const opened = signal === undefined ? {} : { signal };
    await using session = await openSession({ model, instances, intraOpThreads: threads }, opened);
    isBatchable = session.inputs.length > 0 && session.inputs.every(({ dims }) => dims[0] === -1);
    const sizes = batchSizes(isBatchable ? options.maxBatchRows : 1);
    for (const batchRows of sizes) {
      const measured = await measure(session, { instances, threads, batchRows }, options);
      curve.push(measured);
      options.onMeasured?.(measured, curve.length, placements.length * sizes.length);
    }
  }
  return { best: bestOf(curve, options.latencyMs), curve, isBatchable };
}

/** Instances and threads that fit into the processors: powers of two, and all of them. */
function placementsFor(cores: number): readonly Omit<Setting, 'batchRows'>[] {
  const counts = [...new Set([...batchSizes(cores), cores])];
  return counts.flatMap((instances) =>
    counts.filter((threads) => instances * threads <= cores).map((threads) => ({ instances, threads })),
  );
}

function batchSizes(most: number): number[] {
  const sizes: number[] = [];
  for (let size = 1; size <= most; size *= 2) sizes.push(size);
  return sizes;
}

async function measure(
  session: OrtSession,
  setting: Setting,
  { settingMs, shapes = {}, data = 'random', signal }: TuneOptions,
): Promise<Measured> {
  const feeds = tuneInputs(session.inputs, { rows: setting.batchRows, shapes, data });
  for (let run = 0; run < WARM_UP_RUNS; run += 1) {
    await Promise.all(Array.from({ length: setting.instances }, () => session.run(feeds)));
  }
  const times: number[] = [];
  const startMs = performance.now();
  const runner = async (): Promise<void> => {
    for (let beforeMs = performance.now(); beforeMs - startMs < settingMs;) {
      signal?.throwIfAborted();
      await session.run(feeds);
      const afterMs = performance.now();
      times.push(afterMs - beforeMs);
      beforeMs = afterMs;
    }
  };
  await Promise.all(Array.from({ length: setting.instances }, runner));
  const seconds = (performance.now() - startMs) / 1_000;
  times.sort((left, right) => left - right);
  const at = (share: number): number => Number((times[Math.floor(times.length * share)] ?? 0).toFixed(3));
  const rowsPerSecond = Math.round((times.length * setting.batchRows) / seconds);
  return { ...setting, rowsPerSecond, p50Ms: at(0.5), p99Ms: at(0.99) };
}

/** The setting to take. @param latencyMs - See {@link TuneOptions.latencyMs}; when none keeps it, the one with the lowest p99. */
export function bestOf(curve: readonly Measured[], latencyMs: number | undefined): Measured {
  const within = curve.filter(({ p99Ms }) => latencyMs === undefined || p99Ms <= latencyMs);
  const [fastestTail] = curve.toSorted((left, right) => left.p99Ms - right.p99Ms);
  const most = Math.max(...within.map(({ rowsPerSecond }) => rowsPerSecond));
  const [best = fastestTail] = within
    .filter(({ rowsPerSecond }) => rowsPerSecond >= most * AS_FAST)
    .toSorted(
      (left, right) =>
        left.instances * left.threads - right.instances * right.threads ||
        left.threads - right.threads ||
        left.batchRows - right.batchRows,
    );
  if (best === undefined) throw new RangeError('Nothing was measured.');
  return best;
}
