import type { CallSpan } from 'lamella/sdk';
import type { OrtTensors } from 'lamella/sdk/ort';
import type { Cancellation } from './cancellation.ts';
import type { RunTimes } from './statistics.ts';

/** One request for the batcher. */
export interface BatchRequest {
  /** Inputs that were checked. */
  readonly tensors: OrtTensors;
  /** Rows of the request. */
  readonly rows: number;
  /** What it adds to the cost of a run; nothing where costs are not counted. */
  readonly cost?: number | undefined;
  /** Requests of the same text may run together. */
  readonly key: string;
  /** Tells when nobody waits for it any more; `undefined` when that cannot be known. */
  readonly cancellation?: Cancellation | undefined;
  /** Error for a request that nobody waits for. */
  readonly cancelError: () => Error;
  /** Moment after which nobody waits for it, in milliseconds since the epoch. */
  readonly deadlineMs?: number | undefined;
  /** Longest wait in milliseconds, where the queue allows a request to say so. */
  readonly timeoutMs?: number | undefined;
  /** Priority from 1, the highest; 0 for the default. */
  readonly priority?: number | undefined;
  /** Where its steps are traced, when they are. */
  readonly span?: CallSpan | undefined;
}

/** What a request gets. */
export interface BatchAnswer {
  /** Outputs for its own rows. */
  readonly outputs: OrtTensors;
  /** Time in the queue in milliseconds. */
  readonly queueMs: number;
  /** What its run cost. */
  readonly times: RunTimes;
  /** `traceparent` of the span of a run that served several requests, when it is traced. */
  readonly batchSpan?: string | undefined;
}

/** A request on its way through the batcher. */
export class BatchEntry {
  readonly request: BatchRequest;
  readonly queuedMs: number = performance.now();
  readonly resolve: (answer: BatchAnswer) => void;
  readonly reject: (error: unknown) => void;
  /** The list that it waits in. */
  list: EntryList | undefined;
  before: BatchEntry | undefined;
  after: BatchEntry | undefined;
  /** Number of its level of priority, from 0. */
  level: number = 0;
  timer: NodeJS.Timeout | undefined;
  /** Called when nobody waits any more. */
  onCancel: (() => void) | undefined;

  constructor(
    request: BatchRequest,
    settle: { resolve: (answer: BatchAnswer) => void; reject: (error: unknown) => void },
  ) {
    this.request = request;
    this.resolve = settle.resolve;
    this.reject = settle.reject;
  }

  /** Stops what watches its wait. */
  stopWatching(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    if (this.onCancel !== undefined) this.request.cancellation?.unsubscribe?.(this.onCancel);
    this.onCancel = undefined;
  }
}

/**
 * Requests in the order of their arrival, from whose middle one leaves without a search.
 *
 * @remarks A Set would do, but V8 keeps alive what was in its old tables, and each request goes through a queue; see
 * docs/decisions/0014.
 */
export class EntryList {
  #first: BatchEntry | undefined;
  #last: BatchEntry | undefined;
  #size = 0;

  /** Requests in the list. */
  get size(): number {
    return this.#size;
  }

  /** The oldest one. */
  get first(): BatchEntry | undefined {
    return this.#first;
  }

  /** Puts a request that is in no list at the end. */
  push(entry: BatchEntry): void {
    entry.list = this;
    entry.before = this.#last;
    if (this.#last === undefined) this.#first = entry;
    else this.#last.after = entry;
    this.#last = entry;
    this.#size += 1;
  }

  /** Takes a request out. @returns false when it is not there */
  remove(entry: BatchEntry): boolean {
    if (entry.list !== this) return false;
    const { before, after } = entry;
    if (before === undefined) this.#first = after;
    else before.after = after;
    if (after === undefined) this.#last = before;
    else after.before = before;
    // What has left holds on to nothing.
    entry.list = undefined;
    entry.before = undefined;
    entry.after = undefined;
    this.#size -= 1;
    return true;
  }
}
