import type { InferLog } from './infer-log.ts';
import type { Sampler } from './sampler.ts';
import type { RequestTimes } from './statistics.ts';
import type { Traced, Tracer } from './tracer.ts';

/** Tells log, traces and samples of requests, where somebody has asked for that. */
export class RequestObserver {
  readonly log: InferLog;
  readonly tracer: Tracer;
  readonly sampler: Sampler;

  constructor(log: InferLog, tracer: Tracer, sampler: Sampler) {
    this.log = log;
    this.tracer = tracer;
    this.sampler = sampler;
  }

  /** Notes a request that was answered. */
  answered(model: Traced, times: RequestTimes): void {
    if (this.tracer.isOn) this.tracer.answered(model, times);
    if (this.log.isVerbose) this.log.info('Request answered', { ...model, ...times });
  }

  /** Notes a request that failed. */
  failed(model: Traced, totalMs: number, error: unknown): void {
    if (this.log.isVerbose) this.log.info('Request failed', { ...model, totalMs, error });
  }
}
