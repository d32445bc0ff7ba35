import type { FeatureValues } from './feature.ts';

/** How far values are from a distribution. */
export interface Distance {
  /** Population stability index; 0 means the same shares. */
  readonly stabilityIndex: number;
  /** Greatest distance of the two distribution functions (Kolmogorov-Smirnov); 0 for texts. */
  readonly distance: number;
}

/** Values of a feature that others are compared with. */
export interface Distribution {
  distanceTo(values: FeatureValues): Distance;
}

const BINS = 10;
const MOST_CATEGORIES = 50;
/** Stands in for an empty bin, whose logarithm would be infinite. */
const LEAST_SHARE = 0.0001;

/** A distribution of values that are present; `undefined` without any. */
export function distributionOf(values: FeatureValues): Distribution | undefined {
  if (values instanceof Float64Array) {
    const sorted = presentNumbers(values);
    return sorted.length === 0 ? undefined : new NumberDistribution(sorted);
  }
  const texts = presentTexts(values);
  return texts.length === 0 ? undefined : new TextDistribution(texts);
}

/** By tenths of the reference: the definition of `data.quality`, so that both give the same numbers. */
class NumberDistribution implements Distribution {
  readonly #sorted: Float64Array;
  /** Upper bounds of all bins but the last. */
  readonly #edges: readonly number[];
  readonly #shares: readonly number[];

  constructor(sorted: Float64Array) {
    this.#sorted = sorted;
    const quantile = (tenth: number): number =>
      sorted[Math.ceil((sorted.length * tenth) / BINS) - 1] ?? sorted[0] ?? 0;
    this.#edges = [...new Set(Array.from({ length: BINS - 1 }, (_, index) => quantile(index + 1)))];
    this.#shares = this.#binned(sorted);
  }

  distanceTo(values: FeatureValues): Distance {
    const sorted = values instanceof Float64Array ? presentNumbers(values) : new Float64Array();
    // Numbers that are none any more are as far away as can be.
    if (sorted.length === 0) return { stabilityIndex: 1, distance: 1 };
    return {
      stabilityIndex: stabilityIndex(this.#shares, this.#binned(sorted)),
      distance: greatestDistance(this.#sorted, sorted),
    };
  }

  #binned(sorted: Float64Array): number[] {
    const counts = Array.from({ length: this.#edges.length + 1 }, () => 0);
    let bin = 0;
    for (const value of sorted) {
      while (bin < this.#edges.length && value > (this.#edges[bin] ?? 0)) bin += 1;
      counts[bin] = (counts[bin] ?? 0) + 1;
    }
    return counts.map((count) => count / sorted.length);
  }
}

/** By the most frequent texts of the reference, and all others together. */
class TextDistribution implements Distribution {
  readonly #bins: ReadonlyMap<string, number>;
  readonly #shares: readonly number[];

  constructor(texts: readonly string[]) {
    const counts = new Map<string, number>();
    for (const text of texts) counts.set(text, (counts.get(text) ?? 0) + 1);
    const frequent = [...counts].toSorted(
      ([one, oneCount], [other, otherCount]) => otherCount - oneCount || (one < other ? -1 : 1),
    );
    this.#bins = new Map(frequent.slice(0, MOST_CATEGORIES).map(([text], index) => [text, index]));
    this.#shares = this.#binned(texts);
  }

  distanceTo(values: FeatureValues): Distance {
    const texts = values instanceof Float64Array ? [] : presentTexts(values);
    if (texts.length === 0) return { stabilityIndex: 1, distance: 0 };
    return { stabilityIndex: stabilityIndex(this.#shares, this.#binned(texts)), distance: 0 };
  }

  #binned(texts: readonly string[]): number[] {
    const counts = Array.from({ length: this.#bins.size + 1 }, () => 0);
    for (const text of texts) {
      const bin = this.#bins.get(text) ?? this.#bins.size;
      counts[bin] = (counts[bin] ?? 0) + 1;
    }
    return counts.map((count) => count / texts.length);
  }
}

/** Sum of (now - before) ln(now / before) over the bins; a bin that is empty in both adds nothing. */
function stabilityIndex(before: readonly number[], now: readonly number[]): number {
  return before.reduce((sum, share, bin) => {
    const [was, is] = [Math.max(share, LEAST_SHARE), Math.max(now[bin] ?? 0, LEAST_SHARE)];
    return sum + (is - was) * Math.log(is / was);
  }, 0);
}

/** Two-sample Kolmogorov-Smirnov statistic of sorted values. */
function greatestDistance(one: Float64Array, other: Float64Array): number {
  let [at, otherAt, greatest] = [0, 0, 0];
  while (at < one.length && otherAt < other.length) {
    const value = Math.min(one[at] ?? 0, other[otherAt] ?? 0);
    at = pastValue(one, at, value);
    otherAt = pastValue(other, otherAt, value);
    greatest = Math.max(greatest, Math.abs(at / one.length - otherAt / other.length));
  }
  return greatest;
}

/** Place of the first value above another. */
function pastValue(sorted: Float64Array, from: number, value: number): number {
  let at = from;
  while (at < sorted.length && (sorted[at] ?? 0) <= value) at += 1;
  return at;
}

function presentNumbers(values: Float64Array): Float64Array {
  return values.filter((value) => !Number.isNaN(value)).sort();
}

function presentTexts(values: readonly (string | undefined)[]): string[] {
  return values.filter((text) => text !== undefined);
}
