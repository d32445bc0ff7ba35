/**
 * How long the present turn of the event loop has been taking calls.
 *
 * @remarks What one turn reads may be hundreds of calls, which all came before it began: the last of them has waited for
 * the work of all the others, and no clock of its own says so.
 */
export class TurnClock {
  #startedMs = 0;
  #isRunning = false;
  readonly #end = (): void => {
    this.#isRunning = false;
  };

  /** Milliseconds since the first call of this turn was taken. */
  elapsedMs(): number {
    const nowMs = performance.now();
    if (!this.#isRunning) {
      this.#isRunning = true;
      this.#startedMs = nowMs;
      setImmediate(this.#end);
    }
    return nowMs - this.#startedMs;
  }
}
