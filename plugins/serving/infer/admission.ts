import { AdaptiveLimit } from './adaptive-limit.ts';
import type { BatchEntry, BatchRequest } from './batch-entry.ts';
import { QueueFull } from './errors.ts';
import type { QueuePolicies } from './queue-policy.ts';
import { WaitEstimate } from './wait-estimate.ts';

/** Full batches for each slot that are let in always: one runs, one waits, and as much again for uneven arrivals. */
const BATCHES_A_SLOT = 4;

/** What decides who is let in. */
export interface AdmissionOptions {
  /** Model, for messages. */
  readonly model: string;
  /** Runs that may go on at once. */
  readonly slots: number;
  /** Rows of a run at the most. */
  readonly maxBatchRows: number;
  /** How requests wait. */
  readonly policies: QueuePolicies;
}

/** What waits now. */
interface Waiting {
  readonly size: number;
  readonly rows: number;
}

/**
 * Refuses at the door what could not be answered in time.
 *
 * @remarks Under more load than a model can take, a queue that lets everybody in answers nobody in time: each request waits
 * until its deadline and is dropped then. Refused at once, a caller can go elsewhere, and those who are in are answered.
 */
export class Admission {
  readonly #options: AdmissionOptions;
  readonly #limit: AdaptiveLimit | undefined;
  readonly #wait: WaitEstimate = new WaitEstimate();
  readonly #refusals: Map<number, Error> = new Map();
  #running = 0;
  #runningRows = 0;
  /** True while more waited than could run when a batch was answered. */
  #isCrowded = false;

  constructor(options: AdmissionOptions) {
    this.#options = options;
    const { slots, maxBatchRows, policies } = options;
    const room = policies.levels.reduce((sum, { limit }) => sum + limit, 0);
    const ceiling = room + slots * maxBatchRows;
    const floor = Math.min(ceiling, BATCHES_A_SLOT * slots * maxBatchRows);
    if (policies.isAdaptive) this.#limit = new AdaptiveLimit({ floor, ceiling });
  }

  /**
   * Why a request is not let in; `undefined` when it is.
   *
   * @param fastestMs - Time that a run takes at least.
   */
  refusal({ deadlineMs }: BatchRequest, waiting: Waiting, fastestMs: number): Error | undefined {
    const limit = this.#limit?.value ?? Infinity;
    const isFull = waiting.size + this.#running >= limit;
    const isLate =
      deadlineMs !== undefined &&
      waiting.size > 0 &&
      deadlineMs - Date.now() < this.#wait.waitMs(waiting.rows + this.#runningRows) + fastestMs;
    if (!isFull && !isLate) return undefined;
    return this.#full(waiting.size);
  }

  /** One error for each number of requests: to make it, and to encode it, costs more than all the rest of a refusal. */
  #full(size: number): Error {
    let error = this.#refusals.get(size);
    if (error === undefined) {
      error = new QueueFull({ model: this.#options.model, limit: String(size) }, { retryAfterMs: 100 });
      this.#refusals.set(size, error);
    }
    return error;
  }

  /** Notes that a batch runs. */
  begin(batch: readonly BatchEntry[]): void {
    this.#running += batch.length;
    for (const { request } of batch) this.#runningRows += request.rows;
  }

  /** Learns from a batch that has been answered. */
  end(batch: readonly BatchEntry[], waiting: Waiting): void {
    const nowMs = performance.now();
    const inFlight = waiting.size + this.#running;
    let [rows, oldestMs] = [0, nowMs];
    for (const { request, queuedMs } of batch) {
      rows += request.rows;
      oldestMs = Math.min(oldestMs, queuedMs);
    }
    this.#running -= batch.length;
    this.#runningRows -= rows;
    this.#limit?.sample(nowMs - oldestMs, inFlight);
    this.#wait.answered(rows, nowMs, this.#isCrowded);
    this.#isCrowded = waiting.size > 0;
  }
}
