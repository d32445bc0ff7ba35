import { isDeclaredError } from 'lamella/sdk';
import type { OrtTensors } from 'lamella/sdk/ort';
import { batchKey, hasRows, joinRows, takeRows } from './batch.ts';
import { QueueFull, RequestExpired } from './errors.ts';

/** One request for the batcher. */
export interface BatchRequest {
  /** Inputs that were checked. */
  readonly tensors: OrtTensors;
  /** Rows of the request. */
  readonly rows: number;
  /** Ends the wait. */
  readonly signal: AbortSignal;
  /** Error for a request whose signal was aborted. */
  readonly abortError: () => Error;
  /** Longest wait in milliseconds. */
  readonly timeoutMs?: number | undefined;
}

/** What a request gets. */
export interface BatchAnswer {
  /** Outputs for its own rows. */
  readonly outputs: OrtTensors;
  /** Time in the queue in milliseconds. */
  readonly queueMs: number;
  /** Time of the run in milliseconds. */
  readonly runMs: number;
}

/** How a batcher works. */
export interface BatcherOptions {
  /** Model, for messages. */
  readonly model: string;
  /** Runs that may go on at once. */
  readonly slots: number;
  /** Requests that may wait. */
  readonly queueLimit: number;
  /** True when rows of several requests may be joined. */
  readonly batchable: boolean;
  /** Rows of a joined run at the most; one request alone may have more only if it was let in. */
  readonly maxBatchRows: number;
  /** Runs the model. */
  readonly run: (tensors: OrtTensors) => Promise<OrtTensors>;
  /** Told of each run that went well: its rows and its time in milliseconds. */
  readonly onRun: (rows: number, runMs: number) => void;
}

interface Entry extends BatchRequest {
  readonly key: string;
  readonly queuedMs: number;
  readonly resolve: (answer: BatchAnswer) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Forms batches from what waits whenever a slot is free.
 *
 * @remarks There is no timer: while all slots are busy the queue grows, and what is there when one becomes free is the next
 * batch, so batches grow with load and are of one request when there is none. When a slot is free already, the batch is
 * formed at the end of the event loop's turn, so that requests which arrived in one read go together. Triton's batcher
 * works like this, but stops at the first request of another shape; here that one waits for its own batch.
 */
export class Batcher {
  readonly #options: BatcherOptions;
  // A set keeps the order of arrival and forgets a cancelled request at once.
  readonly #queue: Set<Entry> = new Set();
  readonly #idleWaiters: (() => void)[] = [];
  #busy = 0;
  #scheduled = false;
  #joining: boolean;

  constructor(options: BatcherOptions) {
    this.#options = options;
    this.#joining = options.batchable && options.maxBatchRows > 1;
  }

  /** Requests that wait. */
  get waiting(): number {
    return this.#queue.size;
  }

  /** Queues a request. @throws QUEUE_FULL REQUEST_EXPIRED, its `abortError`, or what the run throws. */
  submit(request: BatchRequest): Promise<BatchAnswer> {
    if (request.signal.aborted) return Promise.reject(request.abortError());
    if (this.#queue.size >= this.#options.queueLimit) {
      const { model, queueLimit } = this.#options;
      return Promise.reject(new QueueFull({ model, limit: String(queueLimit) }, { retryAfterMs: 100 }));
    }
    return new Promise((resolve, reject) => this.#enqueue(request, resolve, reject));
  }

  /** Resolves once nothing waits or runs. */
  async drained(): Promise<void> {
    while (this.#busy > 0 || this.#queue.size > 0) {
      await new Promise<void>((resolve) => this.#idleWaiters.push(resolve));
    }
  }

  #enqueue(request: BatchRequest, resolve: Entry['resolve'], reject: Entry['reject']): void {
    const { signal, timeoutMs } = request;
    const leave = (error: Error): void => {
      if (!this.#queue.delete(entry)) return;
      settle();
      reject(error);
      this.#wakeIdle();
    };
    const onAbort = (): void => leave(request.abortError());
    const timer =
      timeoutMs === undefined
        ? undefined
        : setTimeout(() => leave(new RequestExpired({ model: this.#options.model })), timeoutMs);
    const settle = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
    };
    const entry: Entry = {
      ...request,
      key: this.#joining ? batchKey(request.tensors) : '',
      queuedMs: performance.now(),
      resolve: (answer) => {
        settle();
        resolve(answer);
      },
      reject: (error) => {
        settle();
        reject(error);
      },
    };
    signal.addEventListener('abort', onAbort, { once: true });
    this.#queue.add(entry);
    this.#schedule();
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
    while (this.#busy < this.#options.slots && this.#queue.size > 0) {
      const batch = this.#take();
      this.#busy += 1;
      void this.#execute(batch).finally(() => {
        this.#busy -= 1;
        this.#fillSlots();
        this.#wakeIdle();
      });
    }
  }

  /** Takes the oldest request and those that can run with it, as far as they fit. */
  #take(): Entry[] {
    const batch: Entry[] = [];
    let rows = 0;
    for (const entry of this.#queue) {
      const [first] = batch;
      if (first !== undefined) {
        if (!this.#joining) break;
        if (entry.key !== first.key || rows + entry.rows > this.#options.maxBatchRows) continue;
      }
      batch.push(entry);
      this.#queue.delete(entry);
      rows += entry.rows;
      if (rows >= this.#options.maxBatchRows) break;
    }
    return batch;
  }

  async #execute(batch: readonly Entry[]): Promise<void> {
    if (batch.length > 1 && (await this.#runTogether(batch))) return;
    // A request gets two runs at the most, so that one which ends its process does it no more often.
    const mayRetry = batch.length === 1;
    for (const entry of batch) await this.#runAlone(entry, mayRetry);
  }

  /** Runs a joined batch; false when each request has to run alone instead. */
  async #runTogether(batch: readonly Entry[]): Promise<boolean> {
    const rows = batch.reduce((sum, entry) => sum + entry.rows, 0);
    const startMs = performance.now();
    let outputs: OrtTensors;
    try {
      outputs = await this.#options.run(joinRows(batch.map(({ tensors }) => tensors)));
    } catch (error) {
      // One request may have spoilt the run for all; alone, each gets what it deserves. Not so after a time-out: one after
      // another they would hold the slot for as long again each.
      if (!hasReason(error, 'ORT_TIMED_OUT')) return false;
      for (const entry of batch) entry.reject(error);
      return true;
    }
    if (!hasRows(outputs, rows)) {
      // The first dimension is not the batch after all.
      this.#joining = false;
      return false;
    }
    const runMs = performance.now() - startMs;
    this.#options.onRun(rows, runMs);
    let start = 0;
    for (const entry of batch) {
      const end = start + entry.rows;
      entry.resolve({ outputs: takeRows(outputs, start, end), queueMs: startMs - entry.queuedMs, runMs });
      start = end;
    }
    return true;
  }

  async #runAlone(entry: Entry, mayRetry: boolean): Promise<void> {
    if (entry.signal.aborted) return entry.reject(entry.abortError());
    const startMs = performance.now();
    try {
      const outputs = await this.#options.run(entry.tensors);
      const runMs = performance.now() - startMs;
      this.#options.onRun(entry.rows, runMs);
      entry.resolve({ outputs, queueMs: startMs - entry.queuedMs, runMs });
    } catch (error) {
      // The process was killed, most likely not by this request; inference changes nothing, so it may run again.
      if (mayRetry && hasReason(error, 'ORT_CHILD_EXITED')) return this.#runAlone(entry, false);
      entry.reject(error);
    }
  }

  #wakeIdle(): void {
    if (this.#busy > 0 || this.#queue.size > 0) return;
    for (const wake of this.#idleWaiters.splice(0)) wake();
  }
}

function hasReason(error: unknown, reason: string): boolean {
  return isDeclaredError(error) && error.reason === reason;
}
