import type { OrtTensors } from 'lamella/sdk/ort';
import { Admission } from './admission.ts';
import type { BatchLayout } from './batch.ts';
import { BatchDraft } from './batch-draft.ts';
import { type BatchAnswer, BatchEntry, type BatchRequest } from './batch-entry.ts';
import { runBatch } from './batch-run.ts';
import { DelayGain } from './delay-gain.ts';
import { DeadlinePassed } from './errors.ts';
import type { QueuePolicies } from './queue-policy.ts';
import { RequestQueue } from './request-queue.ts';
import type { RunTimes } from './statistics.ts';

/** How a batcher works. */
export interface BatcherOptions {
  /** Model, for messages. */
  readonly model: string;
  /** Runs that may go on at once. */
  readonly slots: number;
  /** How requests wait. */
  readonly policies: QueuePolicies;
  /** True when rows of several requests may be joined. */
  readonly batchable: boolean;
  /** Rows of a joined run at the most; one request alone may have more only if it was let in. */
  readonly maxBatchRows: number;
  /** Cost of a joined run at the most; no limit where it is not given. */
  readonly maxBatchCost?: number | undefined;
  /** How requests are joined; row by row where nothing is said. */
  readonly layout?: BatchLayout | undefined;
  /** Runs the model. */
  readonly run: (tensors: OrtTensors) => Promise<OrtTensors>;
  /** Told of each run that went well. */
  readonly onRun: (rows: number, times: RunTimes) => void;
}

/** How much the estimate of the fastest run may grow with each run, so that it follows a model that gets slower. */
const FORGETTING = 1.02;

/**
 * Forms batches from what waits whenever a slot is free.
 *
 * @remarks There is no timer unless a model asks for one: while all slots are busy the queue grows, and what is there when
 * one becomes free is the next batch, so batches grow with load and are of one request when there is none. When a slot is
 * free already, the batch is formed at the end of the event loop's turn, so that requests which arrived in one read go
 * together. Triton's batcher works like this, but stops at the first request of another shape; here that one waits for
 * its own batch.
 */
export class Batcher {
  readonly #options: BatcherOptions;
  readonly #queue: RequestQueue;
  readonly #idleWaiters: (() => void)[] = [];
  readonly #runner: Parameters<typeof runBatch>[1];
  readonly #admission: Admission;
  /** Tells whether it gains to wait; `undefined` where nobody asked. */
  readonly #gain: DelayGain | undefined;
  /** One for all, as those of {@link Admission}. */
  readonly #late: Error;
  #busy = 0;
  /** Requests that run. */
  #running = 0;
  #scheduled = false;
  #delay: NodeJS.Timeout | undefined;
  #joining: boolean;
  /** A request whose deadline is nearer than this cannot make it. */
  #fastestMs = 0;

  constructor(options: BatcherOptions) {
    this.#options = options;
    this.#queue = new RequestQueue(options.model, options.policies, () => this.#wakeIdle());
    this.#joining = options.batchable && options.maxBatchRows > 1;
    this.#admission = new Admission(options);
    if (options.policies.isDelayMeasured) this.#gain = new DelayGain();
    this.#late = new DeadlinePassed({ model: options.model });
    this.#runner = {
      run: options.run,
      layout: options.layout,
      onRun: (rows, times) => {
        const { runMs } = times;
        this.#fastestMs = this.#fastestMs === 0 ? runMs : Math.min(runMs, this.#fastestMs * FORGETTING);
        this.#gain?.ran(rows, runMs, performance.now());
        options.onRun(rows, times);
      },
      onUnbatchable: () => {
        this.#joining = false;
      },
    };
  }

  /** Requests that wait. */
  get waiting(): number {
    return this.#queue.size;
  }

  /** Queues a request. @throws QUEUE_FULL REQUEST_EXPIRED DEADLINE_PASSED, its `cancelError`, or what the run throws. */
  submit(request: BatchRequest): Promise<BatchAnswer> {
    return new Promise((resolve, reject) => {
      const refusal = this.#admission.refusal(request, this.#queue, this.#fastestMs);
      if (refusal !== undefined) reject(refusal);
      else if (this.#queue.push(new BatchEntry(request, { resolve, reject }))) {
        this.#gain?.arrived(performance.now(), this.#queue.size + this.#running);
        this.#schedule();
      }
    });
  }

  /** Resolves once nothing waits or runs. */
  async drained(): Promise<void> {
    while (this.#busy > 0 || this.#queue.size > 0) {
      await new Promise<void>((resolve) => this.#idleWaiters.push(resolve));
    }
  }

  #schedule(): void {
    if (this.#scheduled || this.#busy >= this.#options.slots) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#fillSlots();
    });
  }

  #fillSlots(): void {
    clearTimeout(this.#delay);
    while (this.#busy < this.#options.slots && this.#queue.size > 0) {
      const batch = this.#take();
      if (batch.length === 0) break;
      this.#busy += 1;
      this.#running += batch.length;
      this.#admission.begin(batch);
      void runBatch(batch, this.#runner).finally(() => {
        this.#busy -= 1;
        this.#running -= batch.length;
        this.#admission.end(batch, this.#queue);
        this.#fillSlots();
        this.#wakeIdle();
      });
    }
  }

  /** Takes the first request and those that can run with it, as far as they fit; none while it is worth to wait for more. */
  #take(): readonly BatchEntry[] {
    const draft = new BatchDraft(this.#options);
    const late: BatchEntry[] = [];
    const lastMs = Date.now() + this.#fastestMs;
    this.#queue.visit((entry) => {
      if ((entry.request.deadlineMs ?? Infinity) <= lastMs) {
        late.push(entry);
        return true;
      }
      draft.offer(entry);
      return this.#joining && !draft.isAtBound;
    });
    for (const entry of late) this.#refuseLate(entry);
    const { entries, rows } = draft;
    const chosen = !draft.isFull && this.#isWorthWaiting(entries) ? [] : this.#preferred(entries, rows);
    for (const entry of chosen) this.#queue.take(entry);
    return chosen;
  }

  #refuseLate(entry: BatchEntry): void {
    this.#queue.take(entry);
    entry.reject(this.#late);
    this.#wakeIdle();
  }

  /** True while a batch is small and young, in a model that asks for larger ones; it is looked at again in time. */
  #isWorthWaiting(batch: readonly BatchEntry[]): boolean {
    const { maxDelayMs, preferredRows } = this.#options.policies;
    const [first] = batch;
    if (maxDelayMs === 0 || first === undefined || !this.#joining) return false;
    const rows = batch.reduce((sum, { request }) => sum + request.rows, 0);
    if (rows >= (preferredRows[0] ?? this.#options.maxBatchRows)) return false;
    const oldestMs = batch.reduce((oldest, { queuedMs }) => Math.min(oldest, queuedMs), first.queuedMs);
    const gainMs = this.#gain?.untilMs(this.#queue.size + this.#running) ?? Infinity;
    const leftMs = Math.min(oldestMs + maxDelayMs, gainMs) - performance.now();
    if (leftMs <= 0) return false;
    this.#delay = setTimeout(() => this.#fillSlots(), Math.ceil(leftMs));
    return true;
  }

  /** The part of a batch that makes up the largest of the preferred sizes; the whole where there is none such. */
  #preferred(batch: readonly BatchEntry[], rows: number): readonly BatchEntry[] {
    const { maxDelayMs, preferredRows } = this.#options.policies;
    const size = maxDelayMs === 0 ? undefined : preferredRows.findLast((preferred) => preferred <= rows);
    if (size === undefined) return batch;
    let sum = 0;
    const fitting = batch.filter(({ request }) => (sum += request.rows) <= size);
    return fitting.length === 0 ? batch : fitting;
  }

  #wakeIdle(): void {
    if (this.#busy > 0 || this.#queue.size > 0) return;
    for (const wake of this.#idleWaiters.splice(0)) wake();
  }
}
