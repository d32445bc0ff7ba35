import { type LabelMatcher } from './promql/label-matcher.ts';
import { labelOf, NAME_LABEL, type SeriesLabels } from './promql/labels.ts';
import type { RangeSamples, Vector } from './promql/vector.ts';
import type { SampleSource } from './promql/evaluate.ts';
import { parseSeries } from './exposition.ts';

/** How long the newest look stands for the present, in milliseconds, as in Prometheus. */
const STALE_MS = 300_000;

/** Bounds of a {@link SampleWindow}. */
export interface WindowLimits {
  /** Looks that are kept. */
  readonly looks: number;
  /** Series that are kept; further ones are counted and left out. */
  readonly maxSeries: number;
}

interface Series {
  readonly text: string;
  readonly labels: SeriesLabels;
  /** Value at each look, by the look's place in the ring; NaN where the series was not there. */
  readonly values: Float64Array;
  lastLook: number;
}

/** The last looks at the metrics, in memory: a ring of times and, for each series, one of values. */
export class SampleWindow implements SampleSource {
  readonly #limits: WindowLimits;
  readonly #timesMs: Float64Array;
  readonly #byText: Map<string, Series> = new Map();
  readonly #byName: Map<string, Set<Series>> = new Map();
  #looks = 0;
  #left = 0;

  constructor(limits: WindowLimits) {
    this.#limits = limits;
    this.#timesMs = new Float64Array(limits.looks);
  }

  /** Series that are kept. */
  get size(): number {
    return this.#byText.size;
  }

  /** Series that found no room at the newest look. */
  get leftOut(): number {
    return this.#left;
  }

  /** Time of the oldest look that is kept; `undefined` before the first. */
  get oldestMs(): number | undefined {
    return this.#looks === 0 ? undefined : this.#timesMs[this.#firstLook() % this.#limits.looks];
  }

  /** Time of the newest look; `undefined` before the first. */
  get newestMs(): number | undefined {
    return this.#looks === 0 ? undefined : this.#timeOf(this.#looks - 1);
  }

  /** Adds a look. When the clock was set back, what was seen before is forgotten: its order is lost. */
  add(exposition: string, timeMs: number): void {
    if (timeMs <= (this.newestMs ?? Number.NEGATIVE_INFINITY)) this.#clear();
    const place = this.#looks % this.#limits.looks;
    this.#timesMs[place] = timeMs;
    for (const { values } of this.#byText.values()) values[place] = Number.NaN;
    this.#left = 0;
    this.#looks += 1;
    for (const line of exposition.split('\n')) this.#addLine(line, place);
    this.#forgetOld();
  }

  /** Names of all metrics, sorted. */
  names(): string[] {
    return [...this.#byName.keys()].toSorted();
  }

  at(matchers: readonly LabelMatcher[], timeMs: number): Vector {
    const look = this.#lookAt(timeMs);
    if (look === undefined || timeMs - this.#timeOf(look) > STALE_MS) return [];
    const place = look % this.#limits.looks;
    return this.#select(matchers).flatMap(({ labels, values }) => {
      const value = values[place] ?? Number.NaN;
      return Number.isNaN(value) ? [] : [{ labels, value }];
    });
  }

  *between(matchers: readonly LabelMatcher[], startMs: number, endMs: number): Generator<RangeSamples> {
    const last = this.#lookAt(endMs);
    if (last === undefined) return;
    let first = last;
    while (first > this.#firstLook() && this.#timeOf(first - 1) > startMs) first -= 1;
    if (this.#timeOf(first) <= startMs) return;
    for (const { labels, values } of this.#select(matchers)) {
      const range = { labels, timesMs: [] as number[], values: [] as number[] };
      for (let look = first; look <= last; look += 1) {
        const value = values[look % this.#limits.looks] ?? Number.NaN;
        if (Number.isNaN(value)) continue;
        range.timesMs.push(this.#timeOf(look));
        range.values.push(value);
      }
      if (range.values.length > 0) yield range;
    }
  }

  #clear(): void {
    this.#looks = 0;
    this.#byText.clear();
    this.#byName.clear();
  }

  #addLine(line: string, place: number): void {
    if (line === '' || line.startsWith('#')) return;
    const end = line.lastIndexOf('}') + 1 || line.indexOf(' ');
    if (end <= 0) return;
    const text = line.slice(0, end);
    const value = valueOf(line.slice(end).trim());
    if (Number.isNaN(value)) return;
    const series = this.#byText.get(text) ?? this.#create(text);
    if (series === undefined) return;
    series.values[place] = value;
    series.lastLook = this.#looks - 1;
  }

  #create(text: string): Series | undefined {
    if (this.#byText.size >= this.#limits.maxSeries) {
      this.#left += 1;
      return undefined;
    }
    const labels = parseSeries(text);
    if (labels === undefined) return undefined;
    const values = new Float64Array(this.#limits.looks).fill(Number.NaN);
    const series = { text, labels, values, lastLook: this.#looks };
    this.#byText.set(text, series);
    const name = labelOf(labels, NAME_LABEL);
    const named = this.#byName.get(name) ?? new Set();
    this.#byName.set(name, named.add(series));
    return series;
  }

  #forgetOld(): void {
    const first = this.#firstLook();
    for (const series of this.#byText.values()) {
      if (series.lastLook >= first) continue;
      this.#byText.delete(series.text);
      const name = labelOf(series.labels, NAME_LABEL);
      const named = this.#byName.get(name);
      named?.delete(series);
      if (named?.size === 0) this.#byName.delete(name);
    }
  }

  #select(matchers: readonly LabelMatcher[]): Series[] {
    const name = matchers.find(({ label, operator }) => label === NAME_LABEL && operator === '=');
    const candidates = name === undefined ? this.#byText.values() : (this.#byName.get(name.value) ?? []);
    return [...candidates].filter(({ labels }) =>
      matchers.every(({ label, matches }) => matches(labelOf(labels, label))),
    );
  }

  /** Newest look that is not later than a time. */
  #lookAt(timeMs: number): number | undefined {
    for (let look = this.#looks - 1; look >= this.#firstLook(); look -= 1) {
      if (this.#timeOf(look) <= timeMs) return look;
    }
    return undefined;
  }

  #firstLook(): number {
    return Math.max(0, this.#looks - this.#limits.looks);
  }

  #timeOf(look: number): number {
    return this.#timesMs[look % this.#limits.looks] ?? Number.NaN;
  }
}

function valueOf(text: string): number {
  // A time stamp may follow the value.
  const value = text.split(' ', 1)[0] ?? '';
  if (value === '') return Number.NaN;
  if (value === '+Inf') return Number.POSITIVE_INFINITY;
  return value === '-Inf' ? Number.NEGATIVE_INFINITY : Number(value);
}
