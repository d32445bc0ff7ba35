import type { Counter, Labels, Metrics } from 'lamella/sdk';

const LABELS: readonly string[] = ['model', 'version'];

/** Triton's metrics of the response cache under Triton's names. */
export class CacheMetrics {
  readonly #hits: Counter;
  readonly #misses: Counter;
  readonly #hitUs: Counter;
  readonly #missUs: Counter;

  constructor(metrics: Metrics) {
    const counter = (name: string, help: string): Counter => metrics.counter({ name, help, labels: LABELS });
    this.#hits = counter(
      'nv_cache_num_hits_per_model',
      'Number of requests that were answered from the cache',
    );
    this.#misses = counter('nv_cache_num_misses_per_model', 'Number of requests that were not in the cache');
    this.#hitUs = counter(
      'nv_cache_hit_duration_per_model',
      'Time of lookups that found an answer in microseconds',
    );
    this.#missUs = counter(
      'nv_cache_miss_duration_per_model',
      'Time of other lookups and of keeping in microseconds',
    );
  }

  /** Counts a lookup that found an answer. */
  hit(labels: Labels, ms: number): void {
    this.#hits.add(1, labels);
    this.#hitUs.add(ms * 1_000, labels);
  }

  /** Counts a lookup that found none. */
  missed(labels: Labels, ms: number): void {
    this.#misses.add(1, labels);
    this.#missUs.add(ms * 1_000, labels);
  }
}
