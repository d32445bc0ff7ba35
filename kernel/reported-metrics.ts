import { AggregatorRegistry } from 'prom-client';
import {
  type MetricFamily,
  MetricKind,
  type MetricSample,
} from '../proto/gen/lamella/kernel/v1/host_service_pb.ts';
import type { DeclaredError } from '../sdk/index.ts';
import { checkNames, MetricConflict, MetricInvalid } from './metrics.ts';

/** Bounds of one report; what a plugin holds in its own process must not fill the kernel's memory. */
const FAMILY_LIMIT = 1_000;
const SERIES_LIMIT = 10_000;
const LABEL_VALUE_LIMIT = 256;

const KINDS = {
  [MetricKind.COUNTER]: 'counter',
  [MetricKind.GAUGE]: 'gauge',
  [MetricKind.HISTOGRAM]: 'histogram',
} as const;

type Kind = (typeof KINDS)[keyof typeof KINDS];

/** A metric as prom-client's aggregation takes it. */
interface JsonMetric {
  readonly name: string;
  readonly help: string;
  readonly type: Kind;
  readonly aggregator: 'sum' | 'first';
  readonly values: readonly JsonValue[];
}

interface JsonValue {
  readonly metricName: string;
  readonly labels: Readonly<Record<string, string | number>>;
  readonly value: number;
}

/** Metrics that plugin processes count and report; each report replaces the one before. */
export class ReportedMetrics {
  readonly #isDeclared: (name: string) => boolean;
  /** By instance, the newest first: of gauges its value counts. */
  #reports: readonly Report[] = [];

  /** @param isDeclared - Whether a metric of this name is counted in the kernel. */
  constructor(isDeclared: (name: string) => boolean) {
    this.#isDeclared = isDeclared;
  }

  /**
   * Takes the present values of an instance.
   *
   * @param instance - Any object that stands for the instance.
   * @throws METRIC_INVALID when the report before stays; METRIC_CONFLICT when all but what it names is taken.
   */
  report(instance: object, owner: string, families: readonly MetricFamily[]): void {
    if (families.length > FAMILY_LIMIT) {
      throw invalid(owner, `a plugin has at most ${FAMILY_LIMIT} metrics, not ${families.length}`);
    }
    const metrics = new Map<string, JsonMetric>();
    for (const family of families) {
      if (metrics.has(family.name)) throw invalid(family.name, 'it is reported twice');
      metrics.set(family.name, toMetric(family));
    }
    const conflicts = [...metrics.keys()].flatMap((name) => this.#conflict(name, owner) ?? []);
    for (const { metadata } of conflicts) metrics.delete(metadata['metric'] ?? '');
    const index = this.#reports.findIndex((report) => report.instance === instance);
    const report = { instance, owner, metrics };
    this.#reports = index === -1 ? [report, ...this.#reports] : this.#reports.with(index, report);
    const [conflict] = conflicts;
    if (conflict !== undefined) throw conflict;
  }

  /** The instance has stopped. */
  remove(instance: object): void {
    this.#reports = this.#reports.filter((report) => report.instance !== instance);
  }

  #conflict(name: string, owner: string): DeclaredError | undefined {
    const holder = this.#isDeclared(name)
      ? 'the kernel or a plugin in its process'
      : this.#reports.find((report) => report.owner !== owner && report.metrics.has(name))?.owner;
    return holder === undefined ? undefined : new MetricConflict({ metric: name, owner: holder });
  }

  /** Prometheus text; counters and histograms of several instances of one plugin are added up. */
  async text(): Promise<string> {
    if (this.#reports.length === 0) return '';
    // A new version may declare its metric differently; what the old one counts is then not shown.
    const types = new Map<string, Kind>();
    const shown = this.#reports.map(({ metrics }) =>
      [...metrics.values()].filter(({ name, type }) => {
        if (!types.has(name)) types.set(name, type);
        return types.get(name) === type && !this.#isDeclared(name);
      }),
    );
    return AggregatorRegistry.aggregate(shown).metrics();
  }
}

interface Report {
  readonly instance: object;
  readonly owner: string;
  readonly metrics: ReadonlyMap<string, JsonMetric>;
}

function toMetric(family: MetricFamily): JsonMetric {
  const { name, help, samples, bucketBounds } = family;
  const type = KINDS[family.kind as keyof typeof KINDS] as Kind | undefined;
  if (type === undefined) throw invalid(name, 'its kind is not said');
  const labels = [...new Set(samples.flatMap((sample) => Object.keys(sample.labels)))];
  checkNames({ kind: type, options: { name, help, labels, buckets: bucketBounds } });
  if (name.startsWith('lamella_rpc_')) throw invalid(name, 'names with lamella_rpc_ are those of the kernel');
  if (samples.length > SERIES_LIMIT) throw invalid(name, `it has more than ${SERIES_LIMIT} label values`);
  const seen = new Set<string>();
  for (const sample of samples) checkSample(family, sample, seen);
  const values = samples.flatMap((sample) =>
    type === 'histogram' ? histogramValues(family, sample) : [valueOf(name, sample)],
  );
  return { name, help, type, aggregator: type === 'gauge' ? 'first' : 'sum', values };
}

function checkSample(
  { name, bucketBounds, kind }: MetricFamily,
  { labels, value, bucketCounts }: MetricSample,
  seen: Set<string>,
): void {
  const key = JSON.stringify(Object.entries(labels).sort(([one], [other]) => (one < other ? -1 : 1)));
  if (seen.has(key)) throw invalid(name, 'it has two samples with the same labels');
  seen.add(key);
  if (!Number.isFinite(value)) throw invalid(name, 'a value is no number');
  if (kind === MetricKind.HISTOGRAM && bucketCounts.length !== bucketBounds.length + 1) {
    throw invalid(name, 'a histogram has one count for each bound and one for what is above');
  }
}

function valueOf(metricName: string, { labels, value }: MetricSample): JsonValue {
  return { metricName, labels: shortened(labels), value };
}

function histogramValues({ name, bucketBounds }: MetricFamily, sample: MetricSample): JsonValue[] {
  const labels = shortened(sample.labels);
  let count = 0;
  const buckets = sample.bucketCounts.map((observed, index) => {
    count += Number(observed);
    return {
      metricName: `${name}_bucket`,
      labels: { le: bucketBounds[index] ?? '+Inf', ...labels },
      value: count,
    };
  });
  return [
    ...buckets,
    { metricName: `${name}_sum`, labels, value: sample.value },
    { metricName: `${name}_count`, labels, value: count },
  ];
}

function shortened(labels: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(labels).map(([label, value]) => [label, value.slice(0, LABEL_VALUE_LIMIT)]),
  );
}

function invalid(metric: string, problem: string): Error {
  return new MetricInvalid({ metric: metric.slice(0, 200), problem });
}
