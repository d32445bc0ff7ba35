import {
  Counter as PromCounter,
  Gauge as PromGauge,
  Histogram as PromHistogram,
  type MetricObjectWithValues,
  type MetricValue,
  Registry,
} from 'prom-client';
import {
  Code,
  type Counter,
  type ErrorType,
  type Gauge,
  type Histogram,
  type Labels,
  type MetricOptions,
  type Metrics,
} from '../sdk/index.ts';
import { defineKernelError } from './kernel-error.ts';
import { createProcessMetrics } from './process-metrics.ts';

/** A metric name belongs to another plugin, or was declared differently before. */
export const MetricConflict: ErrorType<'metric' | 'owner'> = defineKernelError({
  reason: 'METRIC_CONFLICT',
  code: Code.ALREADY_EXISTS,
  message: ({ metric, owner }) =>
    `Metric '${metric}' is already declared by '${owner}' in another way; choose another name or declare it the same way.`,
});

/** A metric or label name is not a valid Prometheus name. */
export const MetricInvalid: ErrorType<'metric' | 'problem'> = defineKernelError({
  reason: 'METRIC_INVALID',
  code: Code.INVALID_ARGUMENT,
  message: ({ metric, problem }) => `Metric '${metric}' cannot be declared: ${problem}.`,
});

/** Options of {@link MetricsRegistry}. */
export interface MetricsRegistryOptions {
  /**
   * Label combinations one metric may have; default 10,000. Samples beyond are dropped and counted, since an
   * unbounded label (a user id) would otherwise fill the memory.
   */
  readonly maxSeries?: number;
}

/** Metrics of one plugin instance; closing it removes what no other instance of the plugin uses. */
export interface MetricsScope extends Metrics {
  /** Removes the instance's metrics from the exposition. */
  close(): void;
}

type PromMetric = PromCounter | PromGauge | PromHistogram;
type Kind = 'counter' | 'gauge' | 'histogram';

/** A metric as a plugin declares it. */
export interface Declaration {
  readonly kind: Kind;
  readonly options: MetricOptions & { readonly buckets?: readonly number[] };
}

const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]{0,199}$/;
const LABEL = /^(?!__)[a-zA-Z_][a-zA-Z0-9_]{0,99}$/;
const MAX_LABEL_LENGTH = 256;

/**
 * All metrics of a kernel and its plugins in one exposition.
 *
 * @remarks Instances of one plugin share a metric, so a counter goes on counting over an upgrade.
 */
export class MetricsRegistry {
  readonly #registry: Registry = new Registry();
  readonly #families: Map<string, Family> = new Map();
  readonly #maxSeries: number;
  readonly #dropped: PromCounter;
  readonly #sources: (() => string | Promise<string>)[] = [];
  readonly #sampleProcess: () => void;
  /** The kernel's own metrics. */
  readonly kernel: MetricsScope;

  constructor(options: MetricsRegistryOptions = {}) {
    this.#maxSeries = options.maxSeries ?? 10_000;
    this.#dropped = new PromCounter({
      name: 'lamella_metric_samples_dropped_total',
      help: 'Samples that were not recorded: a value that is no number, an unknown label, or too many label values.',
      labelNames: ['metric', 'reason'],
      registers: [this.#registry],
    });
    this.kernel = this.scope('kernel');
    this.#sampleProcess = createProcessMetrics(this.kernel);
  }

  /** Content type of {@link MetricsRegistry.exposition}. */
  get contentType(): string {
    return this.#registry.contentType;
  }

  /** All metrics in Prometheus text format 0.0.4. */
  async exposition(): Promise<string> {
    this.#sampleProcess();
    const text = await this.#registry.metrics();
    return [text, ...(await Promise.all(this.#sources.map(async (source) => source())))].join('');
  }

  /** Adds metrics that are counted elsewhere and written as Prometheus text when somebody asks. */
  addSource(source: () => string | Promise<string>): void {
    this.#sources.push(source);
  }

  /** Whether a metric of this name is counted here. */
  isDeclared(name: string): boolean {
    return this.#registry.getSingleMetric(name) !== undefined;
  }

  /** Present values of what `owner` has declared. */
  async values(owner: string): Promise<MetricObjectWithValues<MetricValue<string>>[]> {
    const all = await this.#registry.getMetricsAsJSON();
    return all.filter(({ name }) => this.#families.get(name)?.owner === owner);
  }

  /** Metrics for one instance of the plugin `owner`. */
  scope(owner: string): MetricsScope {
    const scope = Symbol(owner);
    const declare = (declaration: Declaration): Family => this.#declare(owner, scope, declaration);
    return {
      counter: (options) => declare({ kind: 'counter', options }),
      gauge: (options) => declare({ kind: 'gauge', options }),
      histogram: (options) => declare({ kind: 'histogram', options }),
      exposition: () => this.exposition(),
      close: () => this.#close(scope),
    };
  }

  #declare(owner: string, scope: symbol, declaration: Declaration): Family {
    const { name } = declaration.options;
    checkNames(declaration);
    const known = this.#families.get(name);
    if (known?.isLike(owner, declaration) === true) {
      known.users.add(scope);
      return known;
    }
    if (known !== undefined) this.#replace(known, owner, scope);
    const family = new Family(owner, declaration, {
      maxSeries: this.#maxSeries,
      registry: this.#registry,
      drop: (reason) => this.#dropped.inc({ metric: name, reason }),
    });
    family.users.add(scope);
    this.#families.set(name, family);
    return family;
  }

  /** A new version of a plugin may declare its metric differently; the old instance then counts unseen. */
  #replace(known: Family, owner: string, scope: symbol): void {
    if (known.owner !== owner || known.users.has(scope)) {
      throw new MetricConflict({ metric: known.name, owner: known.owner });
    }
    this.#registry.removeSingleMetric(known.name);
  }

  #close(scope: symbol): void {
    for (const [name, family] of this.#families) {
      if (family.users.delete(scope) && family.users.size === 0) {
        this.#families.delete(name);
        this.#registry.removeSingleMetric(name);
      }
    }
  }
}

interface FamilyLimits {
  readonly maxSeries: number;
  readonly registry: Registry;
  readonly drop: (reason: string) => void;
}

/** One metric with all its label combinations. */
class Family implements Counter, Gauge, Histogram {
  readonly owner: string;
  readonly users: Set<symbol> = new Set();
  readonly #declaration: Declaration;
  readonly #limits: FamilyLimits;
  readonly #metric: PromMetric;
  readonly #labelNames: readonly string[];
  readonly #series: Set<string> = new Set();

  constructor(owner: string, declaration: Declaration, limits: FamilyLimits) {
    this.owner = owner;
    this.#declaration = declaration;
    this.#limits = limits;
    this.#labelNames = [...(declaration.options.labels ?? [])];
    this.#metric = createMetric(declaration, this.#labelNames, limits.registry);
  }

  get name(): string {
    return this.#declaration.options.name;
  }

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
    const isValid = Number.isFinite(amount) && amount >= 0;
    const sample = this.#sample(isValid, labels);
    if (sample !== undefined) (this.#metric as PromCounter).inc(sample, amount);
  }

  set(value: number, labels: Labels = {}): void {
    // Infinity and NaN are legal gauge values, but the client library refuses them.
    const sample = this.#sample(Number.isFinite(value), labels);
    if (sample !== undefined) (this.#metric as PromGauge).set(sample, value);
  }

  observe(value: number, labels: Labels = {}): void {
    const sample = this.#sample(Number.isFinite(value), labels);
    if (sample !== undefined) (this.#metric as PromHistogram).observe(sample, value);
  }

  /** The labels to record under, or `undefined` when the sample must be dropped. A metric never fails a call. */
  #sample(isValid: boolean, labels: Labels): Labels | undefined {
    if (!isValid) return this.#drop('value');
    const sample: Record<string, string> = {};
    for (const [label, value] of Object.entries(labels)) {
      if (!this.#labelNames.includes(label)) return this.#drop('label');
      sample[label] = String(value).slice(0, MAX_LABEL_LENGTH);
    }
    const series = this.#labelNames.map((label) => sample[label] ?? '').join('\0');
    if (!this.#series.has(series)) {
      if (this.#series.size >= this.#limits.maxSeries) return this.#drop('series');
      this.#series.add(series);
    }
    return sample;
  }

  #drop(reason: string): undefined {
    this.#limits.drop(reason);
  }
}

function createMetric(
  { kind, options }: Declaration,
  labelNames: readonly string[],
  registry: Registry,
): PromMetric {
  const configuration = { name: options.name, help: options.help, labelNames, registers: [registry] };
  switch (kind) {
    case 'counter':
      return new PromCounter(configuration);
    case 'gauge':
      return new PromGauge(configuration);
    case 'histogram':
      return new PromHistogram({ ...configuration, buckets: [...(options.buckets ?? [])] });
  }
}

/** @throws METRIC_INVALID */
export function checkNames({ kind, options }: Declaration): void {
  const problem =
    nameProblem(options) ?? (kind === 'histogram' ? bucketProblem(options.buckets ?? []) : undefined);
  if (problem !== undefined) throw new MetricInvalid({ metric: String(options.name).slice(0, 200), problem });
}

function nameProblem({ name, help, labels = [] }: MetricOptions): string | undefined {
  if (!NAME.test(name)) return `its name must match ${String(NAME)}`;
  if (typeof help !== 'string' || help === '') return 'it has no help text';
  const label = labels.find((candidate) => !LABEL.test(candidate) || candidate === 'le');
  return label === undefined
    ? undefined
    : `label '${label.slice(0, 100)}' must match ${String(LABEL)} and not be 'le'`;
}

function bucketProblem(buckets: readonly number[]): string | undefined {
  const isAscending = buckets.every(
    (bound, index) => bound > (buckets[index - 1] ?? Number.NEGATIVE_INFINITY),
  );
  return isAscending && buckets.length > 0
    ? undefined
    : 'its bucket bounds must be numbers in ascending order';
}
