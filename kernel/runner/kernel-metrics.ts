import type { MessageInitShape } from '@bufbuild/protobuf';
import type { MetricObjectWithValues, MetricValue } from 'prom-client';
import {
  type HostService,
  type MetricFamilySchema,
  MetricKind,
  type MetricSampleSchema,
} from '../../proto/gen/lamella/kernel/v1/host_service_pb.ts';
import type { Client, Counter, Gauge, Histogram, Logger, MetricOptions, Metrics } from '../../sdk/index.ts';
import { MetricsRegistry, type MetricsScope } from '../metrics.ts';

/** Time between two reports, in milliseconds: well below the 15 s in which metrics are usually read. */
const REPORT_MS = 2_000;

type Family = MessageInitShape<typeof MetricFamilySchema>;
type Sample = MessageInitShape<typeof MetricSampleSchema>;
type Counted = MetricObjectWithValues<MetricValue<string>>;

/** Parts of {@link KernelMetrics}. */
export interface KernelMetricsParts {
  readonly pluginId: string;
  readonly kernel: Client<typeof HostService>;
  readonly log: Logger;
  /** Ends the reports. */
  readonly signal: AbortSignal;
}

/** Metrics of a plugin process: counted here, and reported to the kernel, which shows them on its metrics port. */
export class KernelMetrics implements Metrics {
  readonly #registry: MetricsRegistry = new MetricsRegistry();
  readonly #scope: MetricsScope;
  readonly #parts: KernelMetricsParts;
  #timer: NodeJS.Timeout | undefined;
  #lastProblem = '';

  constructor(parts: KernelMetricsParts) {
    this.#parts = parts;
    this.#scope = this.#registry.scope(parts.pluginId);
    parts.signal.addEventListener('abort', () => clearInterval(this.#timer), { once: true });
  }

  counter(options: MetricOptions): Counter {
    this.#report();
    return this.#scope.counter(options);
  }

  gauge(options: MetricOptions): Gauge {
    this.#report();
    return this.#scope.gauge(options);
  }

  histogram(options: MetricOptions & { readonly buckets: readonly number[] }): Histogram {
    this.#report();
    return this.#scope.histogram(options);
  }

  async exposition(): Promise<string> {
    await this.#send();
    return (await this.#parts.kernel.getExposition({})).text;
  }

  /** Begins with the first declaration: most plugins have none. */
  #report(): void {
    this.#timer ??= setInterval(() => void this.#send(), REPORT_MS).unref();
  }

  async #send(): Promise<void> {
    const { kernel, log, pluginId, signal } = this.#parts;
    try {
      const counted = await this.#registry.values(pluginId);
      await kernel.reportMetrics({ families: counted.map(toFamily) }, { signal, timeoutMs: REPORT_MS });
    } catch (error) {
      const { message } = error as Error;
      if (signal.aborted || message === this.#lastProblem) return;
      this.#lastProblem = message;
      log.warn('metrics are not shown', { error });
    }
  }
}

function toFamily(counted: Counted): Family {
  const { name, help } = counted;
  // prom-client types the kind as an enum and writes its name.
  switch (String(counted.type)) {
    case 'counter':
      return { name, help, kind: MetricKind.COUNTER, samples: plainSamples(counted) };
    case 'gauge':
      return { name, help, kind: MetricKind.GAUGE, samples: plainSamples(counted) };
    default:
      return { name, help, kind: MetricKind.HISTOGRAM, ...histogram(counted) };
  }
}

function plainSamples({ values }: Counted): Sample[] {
  return values.map(({ labels, value }) => ({ labels: textLabels(labels), value }));
}

function histogram({ name, values }: Counted): Pick<Family, 'samples' | 'bucketBounds'> {
  const bounds = new Set<number>();
  const samples = new Map<string, { labels: Record<string, string>; value: number; counts: number[] }>();
  for (const counted of values) {
    const { metricName } = counted as { readonly metricName?: string };
    const { le, ...rest } = counted.labels;
    const labels = textLabels(rest);
    const key = JSON.stringify(labels);
    const sample = samples.get(key) ?? { labels, value: 0, counts: [] };
    samples.set(key, sample);
    if (metricName === `${name}_sum`) sample.value = counted.value;
    if (metricName !== `${name}_bucket`) continue;
    sample.counts.push(counted.value);
    if (le !== '+Inf') bounds.add(Number(le));
  }
  return {
    bucketBounds: [...bounds],
    samples: [...samples.values()].map(({ labels, value, counts }) => ({
      labels,
      value,
      // Those of prom-client hold what is below them too.
      bucketCounts: counts.map((count, index) => BigInt(count - (counts[index - 1] ?? 0))),
    })),
  };
}

function textLabels(labels: Readonly<Partial<Record<string, string | number>>>): Record<string, string> {
  return Object.fromEntries(Object.entries(labels).map(([name, value]) => [name, String(value)]));
}
