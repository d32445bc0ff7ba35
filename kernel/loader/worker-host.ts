import type { Counter, Gauge, Histogram, Logger, StorageEntry } from '../../sdk/index.ts';
import type { MetricsScope } from '../metrics.ts';
import type { MetricDeclaration, MetricSample } from '../runner/port-metrics.ts';
import { RANGE_PAGE } from '../runner/port-storage.ts';
import type { LmdbStorage } from '../storage.ts';

/** What a worker may use of the kernel beside services. */
export interface WorkerHostParts {
  readonly storage: LmdbStorage;
  readonly metrics: MetricsScope;
  readonly log: Logger;
}

type Record = (sample: MetricSample) => void;

/** The kernel's end of a worker's host object: its storage and its metrics. */
export class WorkerHost {
  readonly #parts: WorkerHostParts;
  readonly #metrics: Map<number, Record> = new Map();

  constructor(parts: WorkerHostParts) {
    this.#parts = parts;
  }

  /** @throws STORAGE_FAILED */
  async answer(name: string, value: unknown): Promise<unknown> {
    const { storage } = this.#parts;
    const { key = '', value: stored, prefix = '', after } = value as StorageQuestion;
    switch (name) {
      case 'storage.get':
        return storage.get(key);
      case 'storage.put':
        return storage.put(key, stored);
      case 'storage.delete':
        return storage.delete(key);
      case 'storage.range':
        return page(storage, prefix, after);
      default:
        throw new Error(`A worker asked for '${name}', which nobody knows.`);
    }
  }

  declare({ index, kind, options }: MetricDeclaration): void {
    const { metrics, log } = this.#parts;
    try {
      this.#metrics.set(index, recorder(metrics, kind, options));
    } catch (error) {
      // The worker has checked the declaration itself; what is left is a name that somebody else has.
      log.warn('a metric is not shown', { metric: options.name, error });
    }
  }

  record(samples: readonly MetricSample[]): void {
    for (const sample of samples) this.#metrics.get(sample[0])?.(sample);
  }
}

interface StorageQuestion {
  readonly key?: string;
  readonly value?: unknown;
  readonly prefix?: string;
  readonly after?: string | undefined;
}

async function page(
  storage: LmdbStorage,
  prefix: string,
  after: string | undefined,
): Promise<StorageEntry[]> {
  const entries: StorageEntry[] = [];
  for await (const entry of storage.range(prefix, after)) {
    entries.push(entry);
    if (entries.length === RANGE_PAGE) break;
  }
  return entries;
}

function recorder(
  metrics: MetricsScope,
  kind: MetricDeclaration['kind'],
  options: MetricDeclaration['options'],
): Record {
  if (kind === 'histogram') {
    const histogram: Histogram = metrics.histogram({ ...options, buckets: options.buckets ?? [] });
    return ([, value, labels]) => histogram.observe(value, labels);
  }
  if (kind === 'gauge') {
    const gauge: Gauge = metrics.gauge(options);
    return ([, value, labels]) => gauge.set(value, labels);
  }
  const counter: Counter = metrics.counter(options);
  return ([, value, labels]) => counter.add(value, labels);
}
