import type { FeatureValues } from './feature.ts';

/** Features of one model at the most; those of further columns are not watched. */
const MOST_FEATURES = 100;

/** The newest rows of one version of a model, feature by feature, in rings that are written over. */
export class DriftWindow {
  readonly #size: number;
  readonly #timesMs: Float64Array;
  readonly #features: Map<string, Float64Array | (string | undefined)[]> = new Map();
  #next = 0;

  /** @param size - Rows that are kept. */
  constructor(size: number) {
    this.#size = size;
    this.#timesMs = new Float64Array(size).fill(Number.NEGATIVE_INFINITY);
  }

  /** Names of the features. */
  get features(): readonly string[] {
    return [...this.#features.keys()];
  }

  /** Adds rows that came at one time. */
  add(rows: number, features: ReadonlyMap<string, FeatureValues>, timeMs: number): void {
    for (const [name, values] of features) this.#ringOf(name, values);
    for (let row = 0; row < rows; row += 1) {
      const place = this.#next % this.#size;
      this.#next += 1;
      this.#timesMs[place] = timeMs;
      for (const [name, ring] of this.#features) put(ring, place, features.get(name)?.[row]);
    }
  }

  /** Rows that are not older. */
  rows(sinceMs: number): number {
    return this.#timesMs.reduce((count, timeMs) => (timeMs >= sinceMs ? count + 1 : count), 0);
  }

  /** Values of a feature that are not older, in no order. */
  values(feature: string, sinceMs: number): FeatureValues {
    const isNew = (_value: unknown, place: number): boolean => (this.#timesMs[place] ?? 0) >= sinceMs;
    const ring = this.#features.get(feature) ?? [];
    return ring instanceof Float64Array ? ring.filter(isNew) : ring.filter(isNew);
  }

  #ringOf(name: string, values: FeatureValues): void {
    if (this.#features.has(name) || this.#features.size >= MOST_FEATURES) return;
    const isNumber = values instanceof Float64Array;
    const ring = isNumber
      ? new Float64Array(this.#size).fill(Number.NaN)
      : Array.from({ length: this.#size }, (): string | undefined => undefined);
    this.#features.set(name, ring);
  }
}

function put(
  ring: Float64Array | (string | undefined)[],
  place: number,
  value: number | string | undefined,
): void {
  if (ring instanceof Float64Array) ring[place] = typeof value === 'number' ? value : Number.NaN;
  else ring[place] = typeof value === 'string' ? value : undefined;
}
