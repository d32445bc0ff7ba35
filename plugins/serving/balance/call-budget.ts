/** Extra calls that are always possible after a quiet time, so that a caller with few requests can lose an endpoint. */
const RESERVE = 10;
const RESERVE_MS = 10_000;

/** Extra calls that may have been saved up. */
const LIMIT = 1_000;

/** How a budget is bounded. */
export interface BudgetLimits {
  /** Extra calls of 100 calls. */
  readonly percent: number;
  /** Extra calls there are at the start and, filled up slowly, later; 10 by default. */
  readonly reserve?: number;
}

/** Bounds what extra calls (retries, hedges) add to the load: a share of the calls in the long run. */
export class CallBudget {
  readonly #share: number;
  readonly #reserve: number;
  readonly #now: () => number;
  #saved: number;
  #filledMs: number;

  /** @param now - A clock that never jumps, in milliseconds. */
  constructor({ percent, reserve = RESERVE }: BudgetLimits, now: () => number = () => performance.now()) {
    this.#share = percent / 100;
    this.#reserve = reserve;
    this.#saved = reserve;
    this.#now = now;
    this.#filledMs = now();
  }

  /** A call was made. */
  earn(): void {
    this.#saved = Math.min(LIMIT, this.#saved + this.#share);
  }

  /** @returns whether one more extra call is allowed, which then counts. */
  spend(): boolean {
    const nowMs = this.#now();
    const gained = ((nowMs - this.#filledMs) / RESERVE_MS) * this.#reserve;
    this.#filledMs = nowMs;
    if (this.#saved < this.#reserve) this.#saved = Math.min(this.#reserve, this.#saved + gained);
    if (this.#saved < 1) return false;
    this.#saved -= 1;
    return true;
  }
}
