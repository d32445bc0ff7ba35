import type { HostService } from '../../proto/gen/lamella/kernel/v1/host_service_pb.ts';
import type { Client, Counter, Gauge, Histogram, Logger, MetricOptions, Metrics } from '../../sdk/index.ts';
import { MetricsRegistry, type MetricsScope } from '../metrics.ts';

/**
 * Metrics of a plugin process.
 *
 * @remarks They are counted here but not yet shown on the kernel's metrics port (the kernel does not take
 * ReportMetrics); the first declaration says so in the log, so that nobody waits for them in vain.
 */
export class KernelMetrics implements Metrics {
  readonly #scope: MetricsScope;
  readonly #kernel: Client<typeof HostService>;
  readonly #log: Logger;
  #hasWarned = false;

  constructor(pluginId: string, kernel: Client<typeof HostService>, log: Logger) {
    this.#scope = new MetricsRegistry().scope(pluginId);
    this.#kernel = kernel;
    this.#log = log;
  }

  counter(options: MetricOptions): Counter {
    this.#warn(options.name);
    return this.#scope.counter(options);
  }

  gauge(options: MetricOptions): Gauge {
    this.#warn(options.name);
    return this.#scope.gauge(options);
  }

  histogram(options: MetricOptions & { readonly buckets: readonly number[] }): Histogram {
    this.#warn(options.name);
    return this.#scope.histogram(options);
  }

  async exposition(): Promise<string> {
    return (await this.#kernel.getExposition({})).text;
  }

  #warn(metric: string): void {
    if (this.#hasWarned) return;
    this.#hasWarned = true;
    this.#log.debug('metrics of plugin processes are not shown on the metrics port yet', { metric });
  }
}
