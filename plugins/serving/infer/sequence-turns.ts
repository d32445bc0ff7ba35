import type { Cancellation } from './cancellation.ts';

interface Waiter {
  readonly start: () => void;
  isGone: boolean;
}

/** Lets the requests of one sequence run one after another, once the sequence has a place. */
export class SequenceTurns {
  /** True once its last request has come. */
  isEnding = false;
  /** Moment since which nothing of it waits or runs, by the clock of `performance.now`. */
  quietSinceMs: number = performance.now();
  #isAdmitted = false;
  #isRunning = false;
  readonly #waiters: Waiter[] = [];

  /** True when it has a place. */
  get isAdmitted(): boolean {
    return this.#isAdmitted;
  }

  /** True while nothing of it waits or runs. */
  get isQuiet(): boolean {
    return !this.#isRunning && this.#waiters.every(({ isGone }) => isGone);
  }

  /** Gives it a place. */
  admit(): void {
    this.#isAdmitted = true;
    this.#next();
  }

  /** Waits for the turn of a request; `done` must follow. @throws what `cancelError` makes, without a turn */
  wait(cancellation: Cancellation, cancelError: () => Error): Promise<void> {
    return new Promise((resolve, reject) => {
      const waiter: Waiter = {
        isGone: false,
        start: () => {
          cancellation.unsubscribe?.(onCancel);
          resolve();
        },
      };
      const onCancel = (): void => {
        waiter.isGone = true;
        reject(cancelError());
      };
      this.#waiters.push(waiter);
      cancellation.subscribe(onCancel);
      this.#next();
    });
  }

  /** Ends the turn that is under way. */
  done(): void {
    this.#isRunning = false;
    this.quietSinceMs = performance.now();
    this.#next();
  }

  #next(): void {
    if (!this.#isAdmitted || this.#isRunning) return;
    let waiter = this.#waiters.shift();
    while (waiter?.isGone === true) waiter = this.#waiters.shift();
    if (waiter === undefined) return;
    this.#isRunning = true;
    waiter.start();
  }
}
