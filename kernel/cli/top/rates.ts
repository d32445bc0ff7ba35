import type {
  GetCallStatisticsResponse,
  MethodStatistics,
} from '../../../proto/gen/lamella/kernel/v1/plugin_service_pb.ts';

/** Rate, errors and duration between two looks, of a method or a plugin. */
export interface Rates {
  readonly callsPerSecond: number;
  readonly errorsPerSecond: number;
  /** `null` without a call. */
  readonly p50Ms: number | null;
  readonly p95Ms: number | null;
  readonly p99Ms: number | null;
}

interface Counts {
  readonly calls: number;
  readonly errors: number;
  readonly buckets: readonly number[];
}

const NOTHING: Counts = { calls: 0, errors: 0, buckets: [] };

/** Two looks at the counts of a kernel; the earlier one is missing at the first look. */
export class Looks {
  readonly #before: ReadonlyMap<string, Counts>;
  readonly #now: GetCallStatisticsResponse;
  readonly #seconds: number;

  /** @param seconds - Time between the two, or since the kernel started. */
  constructor(
    before: GetCallStatisticsResponse | undefined,
    now: GetCallStatisticsResponse,
    seconds: number,
  ) {
    this.#before = new Map(before?.methods.map((method) => [keyOf(method), countsOf(method)]));
    this.#now = now;
    this.#seconds = seconds;
  }

  /** Of each method of a plugin, by its path. */
  methods(pluginId: string): [string, Rates][] {
    return this.#of(pluginId).map((method) => [method.method, this.#rates([this.#since(method)])]);
  }

  /** Of all methods of a plugin together. */
  plugin(pluginId: string): Rates {
    return this.#rates(this.#of(pluginId).map((method) => this.#since(method)));
  }

  #of(pluginId: string): MethodStatistics[] {
    return this.#now.methods.filter((method) => method.pluginId === pluginId);
  }

  /** A kernel that was started anew counts from 0. */
  #since(method: MethodStatistics): Counts {
    const now = countsOf(method);
    const before = this.#before.get(keyOf(method)) ?? NOTHING;
    if (before.calls > now.calls) return now;
    return {
      calls: now.calls - before.calls,
      errors: Math.max(0, now.errors - before.errors),
      buckets: now.buckets.map((count, index) => Math.max(0, count - (before.buckets[index] ?? 0))),
    };
  }

  #rates(all: readonly Counts[]): Rates {
    const sum = (value: (counts: Counts) => number): number =>
      all.reduce((total, one) => total + value(one), 0);
    const { boundsSeconds } = this.#now;
    const buckets = [...boundsSeconds, Infinity].map((_, index) => sum((one) => one.buckets[index] ?? 0));
    const quantile = (share: number): number | null => quantileMs(share, buckets, boundsSeconds);
    return {
      callsPerSecond: sum(({ calls }) => calls) / this.#seconds,
      errorsPerSecond: sum(({ errors }) => errors) / this.#seconds,
      p50Ms: quantile(0.5),
      p95Ms: quantile(0.95),
      p99Ms: quantile(0.99),
    };
  }
}

/**
 * A quantile from counts by bucket, in milliseconds: linear inside a bucket, as Prometheus does it. What lies above every
 * bound counts as the highest.
 */
export function quantileMs(
  share: number,
  buckets: readonly number[],
  boundsSeconds: readonly number[],
): number | null {
  const total = buckets.reduce((sum, count) => sum + count, 0);
  if (total === 0) return null;
  let wanted = share * total;
  for (const [index, count] of buckets.entries()) {
    const upper = boundsSeconds[index];
    if (upper === undefined) break;
    const lower = boundsSeconds[index - 1] ?? 0;
    if (wanted <= count) return (lower + (upper - lower) * (wanted / count)) * 1_000;
    wanted -= count;
  }
  return (boundsSeconds.at(-1) ?? 0) * 1_000;
}

function keyOf({ pluginId, method }: MethodStatistics): string {
  return `${pluginId} ${method}`;
}

function countsOf({ calls, errors, bucketCounts }: MethodStatistics): Counts {
  return { calls: Number(calls), errors: Number(errors), buckets: bucketCounts.map(Number) };
}
