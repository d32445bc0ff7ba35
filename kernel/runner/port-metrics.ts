import type { HostService } from '../../proto/gen/lamella/kernel/v1/host_service_pb.ts';
import type { Client, Counter, Gauge, Histogram, Labels, MetricOptions, Metrics } from '../../sdk/index.ts';
import { MetricsRegistry, type MetricsScope } from '../metrics.ts';
import type { PortPeer } from '../port/port-peer.ts';

/** What a worker tells of its metrics: each declaration once, then samples by the number of their declaration. */
export interface MetricDeclaration {
  readonly index: number;
  readonly kind: 'counter' | 'gauge' | 'histogram';
  readonly options: MetricOptions & { readonly buckets?: readonly number[] };
}

/** One recorded value. */
export type MetricSample = readonly [index: number, value: number, labels: Labels | undefined];

/** Metrics of a plugin in a worker: recorded in the kernel's own registry, a batch for each turn of the loop. */
export class PortMetrics implements Metrics {
  readonly #peer: PortPeer;
  readonly #kernel: Client<typeof HostService>;
  /** Checks declarations at once, as an inline plugin's are. */
  readonly #checked: MetricsScope;
  #declared = 0;
  #samples: MetricSample[] = [];

  constructor(pluginId: string, kernel: Client<typeof HostService>, peer: PortPeer) {
    this.#peer = peer;
    this.#kernel = kernel;
    this.#checked = new MetricsRegistry().scope(pluginId);
  }

  counter(options: MetricOptions): Counter {
    this.#checked.counter(options);
    const index = this.#declare('counter', options);
    return {
      add: (amount = 1, labels) => this.#record([index, amount, labels]),
      series: (labels) => ({ add: (amount = 1) => this.#record([index, amount, labels]) }),
    };
  }

  gauge(options: MetricOptions): Gauge {
    this.#checked.gauge(options);
    const index = this.#declare('gauge', options);
    return {
      set: (value, labels) => this.#record([index, value, labels]),
      series: (labels) => ({ set: (value) => this.#record([index, value, labels]) }),
    };
  }

  histogram(options: MetricOptions & { readonly buckets: readonly number[] }): Histogram {
    this.#checked.histogram(options);
    const index = this.#declare('histogram', options);
    return {
      observe: (value, labels) => this.#record([index, value, labels]),
      series: (labels) => ({ observe: (value) => this.#record([index, value, labels]) }),
    };
  }

  async exposition(): Promise<string> {
    return (await this.#kernel.getExposition({})).text;
  }

  #declare(kind: MetricDeclaration['kind'], options: MetricDeclaration['options']): number {
    const index = this.#declared;
    this.#declared += 1;
    this.#peer.tell('metric', { index, kind, options: { ...options } } satisfies MetricDeclaration);
    return index;
  }

  #record(sample: MetricSample): void {
    if (this.#samples.push(sample) > 1) return;
    setImmediate(() => {
      this.#peer.tell('samples', this.#samples);
      this.#samples = [];
    });
  }
}
