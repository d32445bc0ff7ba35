import type { MessageInitShape } from '@bufbuild/protobuf';
import {
  type HostService,
  type MetricFamilySchema,
  MetricKind,
} from '../../proto/gen/lamella/kernel/v1/host_service_pb.ts';
import type { Client, Counter, Gauge, Histogram, Logger, MetricOptions, Metrics } from '../../sdk/index.ts';
import type { MetricFamily } from '../metric-family.ts';
import { MetricsRegistry, type MetricsScope } from '../metrics.ts';

/** Time between two reports, in milliseconds: well below the 15 s in which metrics are usually read. */
const REPORT_MS = 2_000;

type Family = MessageInitShape<typeof MetricFamilySchema>;

const KINDS = {
  counter: MetricKind.COUNTER,
  gauge: MetricKind.GAUGE,
  histogram: MetricKind.HISTOGRAM,
} as const;

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
      const families = this.#registry.families(pluginId).map(toFamily);
      await kernel.reportMetrics({ families }, { signal, timeoutMs: REPORT_MS });
    } catch (error) {
      const { message } = error as Error;
      if (signal.aborted || message === this.#lastProblem) return;
      this.#lastProblem = message;
      log.warn('metrics are not shown', { error });
    }
  }
}

function toFamily(family: MetricFamily): Family {
  const { name, help, kind, bounds } = family;
  return {
    name,
    help,
    kind: KINDS[kind],
    bucketBounds: [...bounds],
    samples: family.values().map(({ labels, value, buckets }) => ({
      labels: { ...labels },
      value,
      bucketCounts: Array.from(buckets, BigInt),
    })),
  };
}
