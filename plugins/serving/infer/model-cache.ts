import type { Host } from 'lamella/sdk';
import { CacheMetrics } from './cache-metrics.ts';
import type { InferConfig } from './config.ts';
import { ResponseCache } from './response-cache.ts';

/** A cache and where it is counted. */
export interface ModelCache {
  readonly responses: ResponseCache;
  readonly metrics: CacheMetrics;
  /** How long answers are kept where a model says nothing, in seconds; 0 for no end. */
  readonly ttlSeconds: number;
}

const BYTES_PER_MIB = 1_048_576;

/** The cache that all models share. */
export function createModelCache({ config, metrics }: Host<InferConfig>): ModelCache {
  return {
    responses: new ResponseCache(config.responseCacheMib * BYTES_PER_MIB),
    metrics: new CacheMetrics(metrics),
    ttlSeconds: config.responseCacheTtlSeconds,
  };
}
