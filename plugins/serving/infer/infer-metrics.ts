import type { Counter, Gauge, Histogram, Labels, Metrics } from 'lamella/sdk';
import type { RequestTimes } from './statistics.ts';

const LABELS: readonly string[] = ['model', 'version'];
const SECONDS: readonly number[] = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10,
];
const ROWS: readonly number[] = [1, 2, 4, 8, 16, 32, 64, 128, 256];

const REASONS = ['REJECTED', 'CANCELED', 'BACKEND', 'OTHER'] as const;

/** Why a request failed, in Triton's words. */
export type FailureReason = (typeof REASONS)[number];

interface Sums {
  requests: number;
  rows: number;
  totalMs: number;
  queueMs: number;
  inputMs: number;
  runMs: number;
}

/** Triton's metrics under Triton's names, and two histograms that it lacks. Labels are one object a model. */
export class InferMetrics {
  readonly #success: Counter;
  readonly #failure: Counter;
  readonly #inferences: Counter;
  readonly #executions: Counter;
  readonly #requestUs: Counter;
  readonly #queueUs: Counter;
  readonly #inputUs: Counter;
  readonly #inferUs: Counter;
  readonly #outputUs: Counter;
  readonly #pending: Gauge;
  readonly #seconds: Histogram;
  readonly #batchRows: Histogram;
  readonly #sums: Map<Labels, Sums> = new Map();

  constructor(metrics: Metrics) {
    const counter = (name: string, help: string, labels: readonly string[] = LABELS): Counter =>
      metrics.counter({ name, help, labels });
    this.#success = counter('nv_inference_request_success', 'Number of requests that were answered');
    this.#failure = counter('nv_inference_request_failure', 'Number of requests that failed', [
      ...LABELS,
      'reason',
    ]);
    this.#inferences = counter('nv_inference_count', 'Number of rows that were inferred');
    this.#executions = counter('nv_inference_exec_count', 'Number of runs of the model');
    this.#requestUs = counter(
      'nv_inference_request_duration_us',
      'Time of answered requests in microseconds',
    );
    this.#queueUs = counter('nv_inference_queue_duration_us', 'Time in the queue in microseconds');
    this.#inputUs = counter('nv_inference_compute_input_duration_us', 'Time to read inputs in microseconds');
    this.#inferUs = counter(
      'nv_inference_compute_infer_duration_us',
      'Time of runs in microseconds, for each request',
    );
    this.#outputUs = counter(
      'nv_inference_compute_output_duration_us',
      'Time to write outputs in microseconds: what is left of the whole time after the other parts',
    );
    this.#pending = metrics.gauge({
      name: 'nv_inference_pending_request_count',
      help: 'Number of requests that wait',
      labels: LABELS,
    });
    this.#seconds = metrics.histogram({
      name: 'lamella_inference_request_seconds',
      help: 'Time of answered requests in seconds',
      labels: LABELS,
      buckets: SECONDS,
    });
    this.#batchRows = metrics.histogram({
      name: 'lamella_inference_batch_rows',
      help: 'Rows of one run',
      labels: LABELS,
      buckets: ROWS,
    });
  }

  /** Shows a model before its first request, as Triton does: a series that begins at 0 shows its first increase. */
  loaded(labels: Labels): void {
    const counters = [this.#success, this.#inferences, this.#executions, this.#requestUs, this.#queueUs];
    for (const counter of [...counters, this.#inputUs, this.#inferUs, this.#outputUs]) counter.add(0, labels);
    for (const reason of REASONS) this.#failure.add(0, { ...labels, reason });
    this.#pending.set(0, labels);
  }

  /** Counts a request that was answered. */
  succeeded(labels: Labels, times: RequestTimes): void {
    const sums = this.#sumsOf(labels);
    sums.requests += 1;
    sums.rows += times.rows;
    sums.totalMs += times.totalMs;
    sums.queueMs += times.queueMs;
    sums.inputMs += times.inputMs;
    sums.runMs += times.runMs;
    this.#seconds.observe(times.totalMs / 1_000, labels);
  }

  // A counter costs about a microsecond, and a batch is answered in one turn of the event loop: so what a turn brings is
  // added up and counted once.
  #sumsOf(labels: Labels): Sums {
    const known = this.#sums.get(labels);
    if (known !== undefined) return known;
    const sums: Sums = { requests: 0, rows: 0, totalMs: 0, queueMs: 0, inputMs: 0, runMs: 0 };
    this.#sums.set(labels, sums);
    if (this.#sums.size === 1) setImmediate(() => this.#flush());
    return sums;
  }

  #flush(): void {
    for (const [labels, sums] of this.#sums) {
      this.#success.add(sums.requests, labels);
      this.#inferences.add(sums.rows, labels);
      this.#requestUs.add(sums.totalMs * 1_000, labels);
      this.#queueUs.add(sums.queueMs * 1_000, labels);
      this.#inputUs.add(sums.inputMs * 1_000, labels);
      this.#inferUs.add(sums.runMs * 1_000, labels);
      const outputMs = sums.totalMs - sums.queueMs - sums.inputMs - sums.runMs;
      this.#outputUs.add(Math.max(0, outputMs) * 1_000, labels);
    }
    this.#sums.clear();
  }

  /** Counts a request that failed. */
  failed(labels: Labels, reason: FailureReason): void {
    this.#failure.add(1, { ...labels, reason });
  }

  /** Counts a run. */
  executed(labels: Labels, rows: number): void {
    this.#executions.add(1, labels);
    this.#batchRows.observe(rows, labels);
  }

  /** Tells how many requests wait. */
  waiting(labels: Labels, count: number): void {
    this.#pending.set(count, labels);
  }
}
