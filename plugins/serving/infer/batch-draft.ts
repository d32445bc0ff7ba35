import type { BatchEntry } from './batch-entry.ts';

/** What a batch may have at the most. */
export interface BatchBounds {
  /** Rows; a request alone may have more only if it was let in. */
  readonly maxBatchRows: number;
  /** Cost; no limit where it is not given. */
  readonly maxBatchCost?: number | undefined;
}

/** A batch that is being put together: requests of one key within the bounds. */
export class BatchDraft {
  readonly entries: BatchEntry[] = [];
  readonly #maxRows: number;
  readonly #maxCost: number;
  #rows = 0;
  #cost = 0;
  #isFull = false;

  constructor({ maxBatchRows, maxBatchCost = Infinity }: BatchBounds) {
    this.#maxRows = maxBatchRows;
    this.#maxCost = maxBatchCost;
  }

  /** Rows of all its requests. */
  get rows(): number {
    return this.#rows;
  }

  /** True once a request did not fit any more, or none would. */
  get isFull(): boolean {
    return this.#isFull;
  }

  /** True when it can take nothing more, however small. */
  get isAtBound(): boolean {
    return this.#rows >= this.#maxRows || this.#cost >= this.#maxCost;
  }

  /** Takes a request in, unless it is of another key or does not fit; the first one always fits. */
  offer(entry: BatchEntry): void {
    const { key, rows, cost = 0 } = entry.request;
    const [first] = this.entries;
    if (first !== undefined) {
      if (key !== first.request.key) return;
      if (this.#rows + rows > this.#maxRows || this.#cost + cost > this.#maxCost) {
        this.#isFull = true;
        return;
      }
    }
    this.entries.push(entry);
    this.#rows += rows;
    this.#cost += cost;
    if (this.isAtBound) this.#isFull = true;
  }
}
