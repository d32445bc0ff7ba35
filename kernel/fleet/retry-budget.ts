/** Retries that are always possible within ten seconds, so that a fleet with few calls can lose a machine. */
const RESERVE = 100;
const RESERVE_MS = 10_000;

/** Retries that may have been saved up, so that a fleet with many calls can. */
const LIMIT = 2_000;

/** Retries that each call allows beyond the reserve: a fifth of the calls at most are repeated in the long run. */
const RATIO = 0.2;

/**
 * Bounds what retries add to the load of a fleet that fails: a few calls lost at once are repeated, while most calls
 * failing for long are not.
 */
export class RetryBudget {
  readonly #now: () => number;
  #saved = RESERVE;
  #filledMs: number;

  /** @param now - A clock that never jumps, in milliseconds. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
    this.#filledMs = now();
  }

  /** A call went well. */
  earn(): void {
    if (this.#saved < LIMIT) this.#saved += RATIO;
  }

  /** @returns whether one more retry is allowed, which then counts. */
  spend(): boolean {
    const nowMs = this.#now();
    const gained = ((nowMs - this.#filledMs) / RESERVE_MS) * RESERVE;
    this.#filledMs = nowMs;
    if (this.#saved < RESERVE) this.#saved = Math.min(RESERVE, this.#saved + gained);
    if (this.#saved < 1) return false;
    this.#saved -= 1;
    return true;
  }
}
