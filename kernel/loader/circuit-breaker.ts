/** When a circuit opens and closes. */
export interface BreakerLimits {
  /** Share of faults among the calls of the window from which no more are let through, 0 to 1. */
  readonly faultRatio: number;
  /** Calls in the window below which nothing is concluded. */
  readonly minimumCalls: number;
  /** Length of the window, in milliseconds. */
  readonly windowMs: number;
  /** Time without calls before one is let through to see, in milliseconds. */
  readonly openMs: number;
}

/** Slices of the window; the oldest is forgotten as a new one begins. */
const SLICES = 10;

interface Slice {
  readonly beganMs: number;
  calls: number;
  faults: number;
}

/**
 * Keeps calls away from an instance that fails most of them: callers learn at once, and the instance gets time.
 *
 * @remarks After `openMs` one call is let through; when it goes well, all are. Pattern: Nygard, "Release It!", 2007.
 */
export class CircuitBreaker {
  readonly #limits: BreakerLimits;
  readonly #onChange: (isOpen: boolean) => void;
  readonly #now: () => number;
  #slices: Slice[] = [];
  #openUntilMs: number | undefined;
  #isProbing = false;

  /** @param now - A clock that never jumps, in milliseconds. */
  constructor(
    limits: BreakerLimits,
    onChange: (isOpen: boolean) => void,
    now: () => number = () => performance.now(),
  ) {
    this.#limits = limits;
    this.#onChange = onChange;
    this.#now = now;
  }

  /**
   * Asks for a call to be let through.
   *
   * @returns 0 when it is, or the milliseconds after which to try again.
   */
  enter(): number {
    if (this.#openUntilMs === undefined) return 0;
    const leftMs = this.#openUntilMs - this.#now();
    if (leftMs > 0) return Math.ceil(leftMs);
    if (this.#isProbing) return this.#limits.openMs;
    this.#isProbing = true;
    return 0;
  }

  /** A call that was let through has ended. */
  leave(isFault: boolean): void {
    if (this.#openUntilMs !== undefined) {
      // Calls from before it opened end while it is open; only the one that probes decides.
      if (this.#isProbing) this.#probed(isFault);
      return;
    }
    const slice = this.#slice();
    slice.calls += 1;
    if (!isFault) return;
    slice.faults += 1;
    let calls = 0;
    let faults = 0;
    for (const each of this.#slices) {
      calls += each.calls;
      faults += each.faults;
    }
    if (calls >= this.#limits.minimumCalls && faults / calls >= this.#limits.faultRatio) this.#open();
  }

  #slice(): Slice {
    const nowMs = this.#now();
    const { windowMs } = this.#limits;
    const last = this.#slices.at(-1);
    if (last !== undefined && nowMs - last.beganMs < windowMs / SLICES) return last;
    const slice = { beganMs: nowMs, calls: 0, faults: 0 };
    this.#slices = this.#slices.filter(({ beganMs }) => nowMs - beganMs < windowMs);
    this.#slices.push(slice);
    return slice;
  }

  #open(): void {
    this.#openUntilMs = this.#now() + this.#limits.openMs;
    this.#slices = [];
    this.#onChange(true);
  }

  #probed(isFault: boolean): void {
    this.#isProbing = false;
    if (isFault) {
      this.#openUntilMs = this.#now() + this.#limits.openMs;
      return;
    }
    this.#openUntilMs = undefined;
    this.#onChange(false);
  }
}
