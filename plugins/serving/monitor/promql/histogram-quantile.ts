import { labelOf, NAME_LABEL, type SeriesLabels, signatureOf, without } from './labels.ts';
import type { Vector } from './vector.ts';

interface Bucket {
  readonly bound: number;
  readonly count: number;
}

interface Distribution {
  readonly labels: SeriesLabels;
  readonly buckets: Bucket[];
}

/** Quantile of each histogram among series that are its cumulative buckets, as Prometheus computes it. */
export function histogramQuantile(quantile: number, vector: Vector): Vector {
  const distributions = new Map<string, Distribution>();
  for (const { labels, value } of vector) {
    const bound = boundOf(labelOf(labels, 'le'));
    if (bound === undefined) continue;
    const rest = without(labels, ['le', NAME_LABEL]);
    const key = signatureOf(rest);
    const distribution = distributions.get(key) ?? { labels: rest, buckets: [] };
    distribution.buckets.push({ bound, count: value });
    distributions.set(key, distribution);
  }
  return [...distributions.values()].map(({ labels, buckets }) => ({
    labels,
    value: quantileOf(quantile, monotonic(buckets)),
  }));
}

function boundOf(text: string): number | undefined {
  if (text === '+Inf') return Number.POSITIVE_INFINITY;
  const bound = Number(text);
  return text === '' || Number.isNaN(bound) ? undefined : bound;
}

/** Buckets in order, equal bounds put together, none below the one before: scrapes are not atomic. */
function monotonic(buckets: readonly Bucket[]): Bucket[] {
  const sums = new Map<number, number>();
  for (const { bound, count } of buckets) sums.set(bound, (sums.get(bound) ?? 0) + count);
  let highest = Number.NEGATIVE_INFINITY;
  return [...sums]
    .toSorted(([left], [right]) => left - right)
    .map(([bound, count]) => {
      highest = Math.max(highest, count);
      return { bound, count: highest };
    });
}

function quantileOf(quantile: number, buckets: readonly Bucket[]): number {
  const total = buckets.at(-1);
  if (total?.bound !== Number.POSITIVE_INFINITY || buckets.length < 2) return Number.NaN;
  if (!(total.count > 0) || Number.isNaN(quantile)) return Number.NaN;
  if (quantile < 0) return Number.NEGATIVE_INFINITY;
  if (quantile > 1) return Number.POSITIVE_INFINITY;
  return atRank(quantile * total.count, buckets);
}

/** Within a bucket the observations count as evenly spread; the first one begins at 0, the last has no end. */
function atRank(rank: number, buckets: readonly Bucket[]): number {
  const index = buckets.findIndex(({ count }) => count >= rank);
  const { bound, count } = buckets[index] ?? { bound: Number.POSITIVE_INFINITY, count: 0 };
  const before = buckets[index - 1] ?? { bound: 0, count: 0 };
  if (bound === Number.POSITIVE_INFINITY) return before.bound;
  if (index === 0 && bound <= 0) return bound;
  return before.bound + ((bound - before.bound) * (rank - before.count)) / (count - before.count);
}
