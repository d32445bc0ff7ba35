import type { MessageInitShape } from '@bufbuild/protobuf';
import type { ModelStatisticsSchema } from 'lamella/proto/inference/grpc_inference_service';

interface Duration {
  count: number;
  ms: number;
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
  /** Time to take the outputs apart and convert them in milliseconds. */
  readonly outputMs: number;
  /** Whole time in milliseconds. */
  readonly totalMs: number;
}

/** What one run cost. */
export interface RunTimes {
  /** Time to join the inputs in milliseconds. */
  readonly inputMs: number;
  /** Time of the run in milliseconds. */
  readonly runMs: number;
  /** Time to take the outputs apart in milliseconds. */
  readonly outputMs: number;
}

/** Memory of a loaded version. */
export interface MemoryUse {
  /** Bytes that its processes hold. */
  readonly sizeBytes: number;
}

interface BatchDurations {
  readonly input: Duration;
  readonly run: Duration;
  readonly output: Duration;
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
  readonly #computeOutput: Duration = zero();
  readonly #cacheHit: Duration = zero();
  readonly #cacheMiss: Duration = zero();
  readonly #batches: Map<number, BatchDurations> = new Map();
  #lastInferenceMs = 0;
  #inferences = 0;
  #executions = 0;

  /** Counts a request that was answered. */
  succeeded(times: RequestTimes, nowMs: number): void {
    this.#lastInferenceMs = nowMs;
    this.#inferences += times.rows;
    add(this.#success, times.totalMs);
    add(this.#queue, times.queueMs);
    add(this.#computeInput, times.inputMs);
    add(this.#computeInfer, times.runMs);
    add(this.#computeOutput, times.outputMs);
  }

  /** Counts a request that the cache answered: it is no inference. */
  succeededFromCache(lookupMs: number, totalMs: number, nowMs: number): void {
    this.#lastInferenceMs = nowMs;
    add(this.#success, totalMs);
    add(this.#cacheHit, lookupMs);
  }

  /** Counts a request that was looked for in the cache in vain. */
  missed(lookupMs: number): void {
    add(this.#cacheMiss, lookupMs);
  }

  /** Counts a request that failed. */
  failed(totalMs: number): void {
    add(this.#fail, totalMs);
  }

  /** Counts a run. */
  executed(rows: number, { inputMs, runMs, outputMs }: RunTimes): void {
    this.#executions += 1;
    let durations = this.#batches.get(rows);
    if (durations === undefined) {
      durations = { input: zero(), run: zero(), output: zero() };
      this.#batches.set(rows, durations);
    }
    add(durations.input, inputMs);
    add(durations.run, runMs);
    add(durations.output, outputMs);
  }

  /** The counts as a message. */
  snapshot(
    { name, version }: { readonly name: string; readonly version: string },
    memory?: MemoryUse,
  ): MessageInitShape<typeof ModelStatisticsSchema> {
    return {
      name,
      version,
      lastInference: BigInt(Math.floor(this.#lastInferenceMs)),
      inferenceCount: BigInt(this.#inferences),
      executionCount: BigInt(this.#executions),
      inferenceStats: {
        success: told(this.#success),
        fail: told(this.#fail),
        queue: told(this.#queue),
        computeInput: told(this.#computeInput),
        computeInfer: told(this.#computeInfer),
        computeOutput: told(this.#computeOutput),
        cacheHit: told(this.#cacheHit),
        cacheMiss: told(this.#cacheMiss),
      },
      batchStats: [...this.#batches]
        .toSorted(([left], [right]) => left - right)
        .map(([rows, { input, run, output }]) => ({
          batchSize: BigInt(rows),
          computeInput: told(input),
          computeInfer: told(run),
          computeOutput: told(output),
        })),
      memoryUsage: memory === undefined ? [] : [{ type: 'CPU', id: 0n, byteSize: BigInt(memory.sizeBytes) }],
    };
  }
}

/** A model whose statistics can be asked for. */
interface Counted {
  readonly shape: { readonly name: string; readonly version: string };
  readonly statistics: ModelStatisticsCounter;
  memory(): Promise<MemoryUse | undefined>;
}

/** Statistics of models as messages. */
export function statisticsOf(
  models: readonly Counted[],
): Promise<MessageInitShape<typeof ModelStatisticsSchema>[]> {
  return Promise.all(
    models.map(async (model) => model.statistics.snapshot(model.shape, await model.memory())),
  );
}

function zero(): Duration {
  return { count: 0, ms: 0 };
}

// Added up as numbers: big integers are objects, and a request adds to six of them.
function add(duration: Duration, ms: number): void {
  duration.count += 1;
  duration.ms += ms;
}

function told({ count, ms }: Duration): { count: bigint; ns: bigint } {
  return { count: BigInt(count), ns: BigInt(Math.round(ms * 1e6)) };
}
