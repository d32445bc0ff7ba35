import type { MessageInitShape } from '@bufbuild/protobuf';
import type { ModelStatisticsSchema } from 'lamella/proto/inference/grpc_inference_service';

interface Duration {
  count: bigint;
  ns: bigint;
}

/** What one request cost. */
export interface RequestTimes {
  /** Rows. */
  readonly rows: number;
  /** Time in the queue in milliseconds. */
  readonly queueMs: number;
  /** Time to check and convert the inputs in milliseconds. */
  readonly inputMs: number;
  /** Time of the run in milliseconds. */
  readonly runMs: number;
  /** Whole time in milliseconds. */
  readonly totalMs: number;
}

/**
 * Counts of one loaded version, in Triton's sense: a request counts once, its rows count as inferences, and a run counts
 * once however many requests it served.
 */
export class ModelStatisticsCounter {
  readonly #success: Duration = zero();
  readonly #fail: Duration = zero();
  readonly #queue: Duration = zero();
  readonly #computeInput: Duration = zero();
  readonly #computeInfer: Duration = zero();
  readonly #batches: Map<number, Duration> = new Map();
  #lastInferenceMs = 0;
  #inferences = 0n;
  #executions = 0n;

  /** Counts a request that was answered. */
  succeeded(times: RequestTimes, nowMs: number): void {
    this.#lastInferenceMs = nowMs;
    this.#inferences += BigInt(times.rows);
    add(this.#success, times.totalMs);
    add(this.#queue, times.queueMs);
    add(this.#computeInput, times.inputMs);
    add(this.#computeInfer, times.runMs);
  }

  /** Counts a request that failed. */
  failed(totalMs: number): void {
    add(this.#fail, totalMs);
  }

  /** Counts a run. */
  executed(rows: number, runMs: number): void {
    this.#executions += 1n;
    const duration = this.#batches.get(rows) ?? zero();
    add(duration, runMs);
    this.#batches.set(rows, duration);
  }

  /** The counts as a message. */
  snapshot(name: string, version: string): MessageInitShape<typeof ModelStatisticsSchema> {
    return {
      name,
      version,
      lastInference: BigInt(Math.floor(this.#lastInferenceMs)),
      inferenceCount: this.#inferences,
      executionCount: this.#executions,
      inferenceStats: {
        success: this.#success,
        fail: this.#fail,
        queue: this.#queue,
        computeInput: this.#computeInput,
        computeInfer: this.#computeInfer,
        computeOutput: { count: this.#success.count, ns: 0n },
        cacheHit: zero(),
        cacheMiss: zero(),
      },
      batchStats: [...this.#batches]
        .toSorted(([left], [right]) => left - right)
        .map(([rows, computeInfer]) => ({ batchSize: BigInt(rows), computeInfer })),
    };
  }
}

function zero(): Duration {
  return { count: 0n, ns: 0n };
}

function add(duration: Duration, ms: number): void {
  duration.count += 1n;
  duration.ns += BigInt(Math.round(ms * 1e6));
}
