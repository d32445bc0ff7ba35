import { Code, type ErrorType, type MetricOptions, type Metrics } from '../sdk/index.ts';
import { defineKernelError } from './kernel-error.ts';
import { type Declaration, familyText, MetricFamily } from './metric-family.ts';
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

const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]{0,199}$/;
const LABEL = /^(?!__)[a-zA-Z_][a-zA-Z0-9_]{0,99}$/;

/**
 * All metrics of a kernel and its plugins in one exposition.
 *
 * @remarks Instances of one plugin share a metric, so a counter goes on counting over an upgrade.
 */
export class MetricsRegistry {
  readonly #families: Map<string, MetricFamily> = new Map();
  readonly #maxSeries: number;
  readonly #dropped: MetricFamily;
  readonly #sources: (() => string | Promise<string>)[] = [];
  readonly #sampleProcess: () => void;
  /** The kernel's own metrics. */
  readonly kernel: MetricsScope;

  constructor(options: MetricsRegistryOptions = {}) {
    this.#maxSeries = options.maxSeries ?? 10_000;
    this.#dropped = new MetricFamily(
      'kernel',
      {
        kind: 'counter',
        options: {
          name: 'lamella_metric_samples_dropped_total',
          help: 'Samples that were not recorded: a value that is no number, an unknown label, or too many label values.',
          labels: ['metric', 'reason'],
        },
      },
      // There are as many as metrics and reasons, and what it drops itself is of no interest.
      { maxSeries: Number.POSITIVE_INFINITY, drop: () => undefined },
    );
    this.#families.set(this.#dropped.name, this.#dropped);
    this.kernel = this.scope('kernel');
    this.#sampleProcess = createProcessMetrics(this.kernel);
  }

  /** Content type of {@link MetricsRegistry.exposition}. */
  get contentType(): string {
    return 'text/plain; version=0.0.4; charset=utf-8';
  }

  /** All metrics in Prometheus text format 0.0.4. */
  async exposition(): Promise<string> {
    this.#sampleProcess();
    const texts = [...this.#families.values()].map(familyText);
    return [...texts, ...(await Promise.all(this.#sources.map(async (source) => source())))].join('');
  }

  /** Adds metrics that are counted elsewhere and written as Prometheus text when somebody asks. */
  addSource(source: () => string | Promise<string>): void {
    this.#sources.push(source);
  }

  /** Whether a metric of this name is counted here. */
  isDeclared(name: string): boolean {
    return this.#families.has(name);
  }

  /** What `owner` has declared. */
  families(owner: string): MetricFamily[] {
    return [...this.#families.values()].filter((family) => family.owner === owner);
  }

  /** Metrics for one instance of the plugin `owner`. */
  scope(owner: string): MetricsScope {
    const scope = Symbol(owner);
    const declare = (declaration: Declaration): MetricFamily => this.#declare(owner, scope, declaration);
    return {
      counter: (options) => declare({ kind: 'counter', options }),
      gauge: (options) => declare({ kind: 'gauge', options }),
      histogram: (options) => declare({ kind: 'histogram', options }),
      exposition: () => this.exposition(),
      close: () => this.#close(scope),
    };
  }

  #declare(owner: string, scope: symbol, declaration: Declaration): MetricFamily {
    const { name } = declaration.options;
    checkNames(declaration);
    const known = this.#families.get(name);
    if (known?.isLike(owner, declaration) === true) {
      known.users.add(scope);
      return known;
    }
    if (known !== undefined) this.#replace(known, owner, scope);
    const family = new MetricFamily(owner, declaration, {
      maxSeries: this.#maxSeries,
      drop: (reason) => this.#dropped.add(1, { metric: name, reason }),
    });
    family.users.add(scope);
    this.#families.set(name, family);
    return family;
  }

  /** A new version of a plugin may declare its metric differently; the old instance then counts unseen. */
  #replace(known: MetricFamily, owner: string, scope: symbol): void {
    if (known.owner !== owner || known.users.has(scope)) {
      throw new MetricConflict({ metric: known.name, owner: known.owner });
    }
    this.#families.delete(known.name);
  }

  #close(scope: symbol): void {
    for (const [name, family] of this.#families) {
      if (family.users.delete(scope) && family.users.size === 0) {
        this.#families.delete(name);
      }
    }
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
