import type {
  Counter,
  CounterSeries,
  Gauge,
  GaugeSeries,
  Histogram,
  HistogramSeries,
  Labels,
  MetricOptions,
} from '../sdk/index.ts';

/** What a metric counts. */
export type MetricKindName = 'counter' | 'gauge' | 'histogram';

/** A metric as a plugin declares it. */
export interface Declaration {
  readonly kind: MetricKindName;
  readonly options: MetricOptions & { readonly buckets?: readonly number[] };
}

/** Why a sample was not recorded. */
export type DropReason = 'value' | 'label' | 'series';

/** Bounds of a family. */
export interface FamilyLimits {
  readonly maxSeries: number;
  /** Told of each sample that is not recorded. */
  readonly drop: (reason: DropReason) => void;
}

/** Present values of one label combination. */
export interface SeriesValue {
  readonly labels: Labels;
  /** Of a histogram the sum of what was observed. */
  readonly value: number;
  /** Observations by bucket, the last one above every bound; not cumulated. Empty unless it is a histogram. */
  readonly buckets: ArrayLike<number>;
}

const MAX_LABEL_LENGTH = 256;
const NO_BUCKETS: readonly number[] = [];

/** One metric with all its label combinations. A sample that is wrong is counted and never fails a call. */
export class MetricFamily implements Counter, Gauge, Histogram {
  readonly owner: string;
  /** Instances of its plugin that use it. */
  readonly users: Set<symbol> = new Set();
  readonly #declaration: Declaration;
  readonly #limits: FamilyLimits;
  readonly #labelNames: readonly string[];
  readonly #series: Map<string, Series> = new Map();

  constructor(owner: string, declaration: Declaration, limits: FamilyLimits) {
    this.owner = owner;
    this.#declaration = declaration;
    this.#limits = limits;
    this.#labelNames = [...(declaration.options.labels ?? [])];
    // A metric without labels is there before its first sample.
    if (this.#labelNames.length === 0) this.series({});
  }

  get name(): string {
    return this.#declaration.options.name;
  }

  get help(): string {
    return this.#declaration.options.help;
  }

  get kind(): MetricKindName {
    return this.#declaration.kind;
  }

  /** Upper bounds of a histogram, ascending. */
  get bounds(): readonly number[] {
    return this.#declaration.options.buckets ?? NO_BUCKETS;
  }

  /** Whether a declaration says the same. */
  isLike(owner: string, { kind, options }: Declaration): boolean {
    const mine = this.#declaration;
    return (
      owner === this.owner &&
      kind === mine.kind &&
      String(options.labels ?? []) === String(mine.options.labels ?? []) &&
      String(options.buckets ?? []) === String(mine.options.buckets ?? [])
    );
  }

  add(amount = 1, labels: Labels = {}): void {
    this.series(labels).add(amount);
  }

  set(value: number, labels: Labels = {}): void {
    this.series(labels).set(value);
  }

  observe(value: number, labels: Labels = {}): void {
    this.series(labels).observe(value);
  }

  /** The series of these labels; one that only counts what it drops, when there may be none. */
  series(labels: Labels): Series | LostSeries {
    const values: Record<string, string> = {};
    for (const [label, value] of Object.entries(labels)) {
      if (!this.#labelNames.includes(label)) return new LostSeries('label', this.#limits);
      values[label] = String(value).slice(0, MAX_LABEL_LENGTH);
    }
    const key = this.#labelNames.map((label) => values[label] ?? '').join('\0');
    const known = this.#series.get(key);
    if (known !== undefined) return known;
    if (this.#series.size >= this.#limits.maxSeries) return new LostSeries('series', this.#limits);
    const series = new Series(values, this.kind === 'histogram' ? this.bounds : undefined, this.#limits);
    this.#series.set(key, series);
    return series;
  }

  /** Present values, in the order in which they came. */
  values(): SeriesValue[] {
    return [...this.#series.values()];
  }
}

/** One label combination: numbers and nothing else, since requests are counted here. */
class Series implements SeriesValue, CounterSeries, GaugeSeries, HistogramSeries {
  readonly labels: Labels;
  value = 0;
  readonly buckets: Float64Array;
  readonly #bounds: Float64Array;
  readonly #limits: FamilyLimits;

  constructor(labels: Labels, bounds: readonly number[] | undefined, limits: FamilyLimits) {
    this.labels = labels;
    this.#limits = limits;
    this.#bounds = Float64Array.from(bounds ?? []);
    this.buckets = new Float64Array(bounds === undefined ? 0 : bounds.length + 1);
  }

  add(amount = 1): void {
    // Written so that NaN is refused too.
    if (amount >= 0 && amount < Infinity) this.value += amount;
    else this.#limits.drop('value');
  }

  set(value: number): void {
    if (Number.isFinite(value)) this.value = value;
    else this.#limits.drop('value');
  }

  observe(value: number): void {
    if (!Number.isFinite(value)) return this.#limits.drop('value');
    const bounds = this.#bounds;
    let bucket = 0;
    while (bucket < bounds.length && value > (bounds[bucket] ?? 0)) bucket += 1;
    this.buckets[bucket] = (this.buckets[bucket] ?? 0) + 1;
    this.value += value;
    return undefined;
  }
}

/** Stands for a series that may not be. */
class LostSeries implements CounterSeries, GaugeSeries, HistogramSeries {
  readonly #reason: DropReason;
  readonly #limits: FamilyLimits;

  constructor(reason: DropReason, limits: FamilyLimits) {
    this.#reason = reason;
    this.#limits = limits;
  }

  add(): void {
    this.#limits.drop(this.#reason);
  }

  set(): void {
    this.#limits.drop(this.#reason);
  }

  observe(): void {
    this.#limits.drop(this.#reason);
  }
}

/** A family in Prometheus's text format 0.0.4. */
export function familyText(family: MetricFamily): string {
  const { name, help, kind, bounds } = family;
  const lines = [`# HELP ${name} ${escaped(help)}`, `# TYPE ${name} ${kind}`];
  for (const { labels, value, buckets } of family.values()) {
    const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escaped(text, true)}"`);
    const suffix = pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
    if (kind !== 'histogram') {
      lines.push(`${name}${suffix} ${value}`);
      continue;
    }
    let count = 0;
    for (let index = 0; index < buckets.length; index += 1) {
      count += buckets[index] ?? 0;
      const bucket = [`le="${bounds[index] ?? '+Inf'}"`, ...pairs].join(',');
      lines.push(`${name}_bucket{${bucket}} ${count}`);
    }
    lines.push(`${name}_sum${suffix} ${value}`, `${name}_count${suffix} ${count}`);
  }
  return `${lines.join('\n')}\n`;
}

function escaped(text: string, isLabel = false): string {
  const plain = text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
  return isLabel ? plain.replaceAll('"', '\\"') : plain;
}
