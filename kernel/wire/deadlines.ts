import { type Indexed, IndexedSet } from '../indexed-set.ts';

/** Something that ends by itself at a moment. */
export interface Expiring extends Indexed {
  /** Moment, in milliseconds since the epoch; `undefined` never ends. */
  readonly deadlineMs: number | undefined;
  /** The same by `performance.now()`, reckoned when it begins. */
  expiresAtMs: number;
  /** Called once when the moment has passed. */
  expire(): void;
}

/** Longest timer Node can hold, in milliseconds. */
const TIMER_LIMIT_MS = 2 ** 31 - 1;

/**
 * Deadlines of all calls of a link or a server under one timer.
 *
 * @remarks A timer for each call would cost more than anything else that is done for it, and nearly all calls end
 * long before. The timer stands at the earliest deadline it has seen; when it fires, all that passed expire and it is
 * set to the earliest of the rest. Calls that ended in the meantime cost nothing. What is left of a call's time when it
 * begins is counted by a clock that never jumps: one that is set back must not leave calls without an end.
 */
export class Deadlines {
  readonly #waiting: IndexedSet<Expiring> = new IndexedSet();
  #timer: NodeJS.Timeout | undefined;
  #timerMs = Infinity;

  add(item: Expiring): void {
    if (item.deadlineMs === undefined) return;
    item.expiresAtMs = performance.now() + (item.deadlineMs - Date.now());
    this.#waiting.add(item);
    if (item.expiresAtMs < this.#timerMs) this.#arm(item.expiresAtMs);
  }

  remove(item: Expiring): void {
    this.#waiting.delete(item);
  }

  /** Stops the timer; nothing expires any more. */
  clear(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#timerMs = Infinity;
    for (const item of this.#waiting.values()) this.#waiting.delete(item);
  }

  #arm(atMs: number): void {
    clearTimeout(this.#timer);
    this.#timerMs = atMs;
    const leftMs = Math.min(TIMER_LIMIT_MS, Math.max(1, atMs - performance.now()));
    // A pending deadline alone must not keep the process alive: its connection does.
    this.#timer = setTimeout(() => this.#sweep(), leftMs).unref();
  }

  #sweep(): void {
    const nowMs = performance.now();
    let earliestMs = Infinity;
    const passed: Expiring[] = [];
    for (const item of this.#waiting.values()) {
      if (item.expiresAtMs <= nowMs) passed.push(item);
      else if (item.expiresAtMs < earliestMs) earliestMs = item.expiresAtMs;
    }
    this.#timer = undefined;
    this.#timerMs = Infinity;
    if (earliestMs !== Infinity) this.#arm(earliestMs);
    for (const item of passed) {
      this.#waiting.delete(item);
      item.expire();
    }
  }
}
