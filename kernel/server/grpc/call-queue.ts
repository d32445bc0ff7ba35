/** A call that is complete and may begin. */
export interface CompleteCall {
  begin(): void;
}

/** Time in one turn of the event loop in which calls are begun, in milliseconds; then what has come is read first. */
const TURN_MS = 4;

/** Calls that were begun and are still in the list, from which on it is made anew. */
const SPENT_LIMIT = 1_024;

/**
 * Begins complete calls, as they come while there are few, else one after another in the turns that follow.
 *
 * @remarks What one turn of the event loop reads may be hundreds of calls. Were all begun as they are read, those that wait
 * unread behind them in the sockets would wait without anybody knowing for how long, and so would the answers of processes.
 */
export class CallQueue {
  #waiting: { readonly call: CompleteCall; readonly atMs: number }[] = [];
  #next = 0;
  #turnMs = 0;
  #isTurn = false;
  readonly #endTurn = (): void => this.#end();

  /** How long what comes now has waited already, or has to wait: for this turn's calls and for those before it. */
  waitMs(): number {
    const turnMs = this.turnMs();
    const oldest = this.#waiting[this.#next];
    return oldest === undefined ? turnMs : performance.now() - oldest.atMs;
  }

  /** Time since the first call of this turn was taken, in milliseconds: what is read later in it had come before that. */
  turnMs(): number {
    const nowMs = performance.now();
    this.#begin(nowMs);
    return nowMs - this.#turnMs;
  }

  add(call: CompleteCall): void {
    const nowMs = performance.now();
    this.#begin(nowMs);
    if (this.#waiting.length === 0 && nowMs - this.#turnMs < TURN_MS) call.begin();
    else this.#waiting.push({ call, atMs: nowMs });
  }

  #begin(nowMs: number): void {
    if (this.#isTurn) return;
    this.#isTurn = true;
    this.#turnMs = nowMs;
    setImmediate(this.#endTurn);
  }

  /** The next turn begins with calls that wait. */
  #end(): void {
    this.#isTurn = false;
    if (this.#waiting.length === 0) return;
    this.#begin(performance.now());
    while (performance.now() - this.#turnMs < TURN_MS) {
      const entry = this.#waiting[this.#next];
      if (entry === undefined) break;
      this.#next += 1;
      entry.call.begin();
    }
    if (this.#next < this.#waiting.length && this.#next < SPENT_LIMIT) return;
    this.#waiting = this.#waiting.slice(this.#next);
    this.#next = 0;
  }
}
