/** Between which bounds a limit moves. */
export interface AdaptiveLimitOptions {
  /** Requests that are always let in: enough to keep all slots busy with full batches while the next ones form. */
  readonly floor: number;
  /** Requests beyond which none is let in, however fast they are answered; where the limit begins. */
  readonly ceiling: number;
}

/** How much slower than usual answers may be before the limit is lowered. */
const TOLERANCE = 2;
/** Weight of a new limit against the one before. */
const SMOOTHING = 0.2;
/** Weight of one sample in the usual time: about the last 600 batches count. */
const LONG_WEIGHT = 1 / 600;
const WARM_UP_SAMPLES = 10;

/**
 * How many requests a model takes at once, found from how long they take: the gradient algorithm of Netflix's
 * concurrency-limits.
 *
 * @remarks While requests take as long as usual the limit grows by its square root, so that short queues do not count;
 * once they take more than twice as long, it shrinks by as much. A steady crowd of callers is never refused: what they
 * wait is usual after a while. A sudden one is, before all of them wait too long.
 */
export class AdaptiveLimit {
  readonly #options: AdaptiveLimitOptions;
  #limit: number;
  #usualMs = 0;
  #samples = 0;

  constructor(options: AdaptiveLimitOptions) {
    this.#options = options;
    this.#limit = options.ceiling;
  }

  /** Requests that may wait and run now. */
  get value(): number {
    return Math.floor(this.#limit);
  }

  /**
   * Learns from a batch.
   *
   * @param tookMs - Time of its oldest request from its arrival until its answer.
   * @param inFlight - Requests that waited or ran when it was answered.
   */
  sample(tookMs: number, inFlight: number): void {
    this.#samples += 1;
    const isYoung = this.#samples <= WARM_UP_SAMPLES;
    const weight = isYoung ? 1 / this.#samples : LONG_WEIGHT;
    this.#usualMs += (tookMs - this.#usualMs) * weight;
    if (isYoung) return;
    // After a long crowd the usual time is far above what an idle model takes, and would let the next crowd in.
    if (this.#usualMs > tookMs * TOLERANCE) this.#usualMs *= 0.95;
    // A limit that nothing comes near says nothing.
    const isFar = inFlight < this.#limit / 2;
    const gradient = Math.max(0.5, Math.min(1, (TOLERANCE * this.#usualMs) / Math.max(tookMs, 0.001)));
    if (isFar && gradient === 1) return;
    const wanted = this.#limit * gradient + Math.sqrt(this.#limit);
    const { floor, ceiling } = this.#options;
    this.#limit = Math.max(floor, Math.min(ceiling, this.#limit * (1 - SMOOTHING) + wanted * SMOOTHING));
  }
}
