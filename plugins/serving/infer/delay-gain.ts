/** Weight of one gap between arrivals in their mean. */
const GAP_WEIGHT = 0.1;
/** How much of what is known of runs stays with each new run. */
const REMEMBERED = 0.98;
/** Variance of the rows of runs below which nothing can be said about how their time grows. */
const LEAST_VARIANCE = 0.05;
/** How much of the most requests that were here at once stays with each new run. */
const PEAK_REMEMBERED = 0.95;

/**
 * Learns whether it gains to let a free slot wait for more requests.
 *
 * @remarks A request that joins a run saves the fixed part of a run of its own: what a run takes however few rows it has. So it
 * gains to wait while (1) fewer requests are here than were a moment ago, so that others are likely to come, (2) they come
 * closer together than that fixed part, and (3) the last one came, or the last run ended, less than that fixed part ago: a
 * slot is idle for no longer than what could be saved. The fixed part comes from a least-squares line through the times of runs by their
 * rows. A caller who is alone never waits: nobody else was here.
 */
export class DelayGain {
  #gapMs = Infinity;
  #lastMs = -Infinity;
  /** Since when nothing has come that makes up for a slot that is idle. */
  #sinceMs = -Infinity;
  #peak = 0;
  #fixedMs = 0;
  // Sums over the runs, each weighted by its age: runs, rows, time, rows squared, rows times time.
  readonly #sums: [number, number, number, number, number] = [0, 0, 0, 0, 0];

  /**
   * Notes a request that came.
   *
   * @param present - Requests that wait or run, with this one.
   */
  arrived(nowMs: number, present: number): void {
    const gapMs = nowMs - this.#lastMs;
    this.#lastMs = nowMs;
    this.#sinceMs = nowMs;
    this.#peak = Math.max(this.#peak, present);
    if (gapMs === Infinity) return;
    this.#gapMs = this.#gapMs === Infinity ? gapMs : this.#gapMs + (gapMs - this.#gapMs) * GAP_WEIGHT;
  }

  /** Learns from a run that has ended. */
  ran(rows: number, runMs: number, nowMs: number): void {
    this.#sinceMs = nowMs;
    this.#peak *= PEAK_REMEMBERED;
    const parts = [1, rows, runMs, rows * rows, rows * runMs];
    for (const [index, part] of parts.entries()) {
      this.#sums[index] = (this.#sums[index] ?? 0) * REMEMBERED + part;
    }
    const [runs, sumRows, sumMs, squares, products] = this.#sums;
    const [meanRows, meanMs] = [sumRows / runs, sumMs / runs];
    const variance = squares / runs - meanRows * meanRows;
    // Runs of one size only say nothing new.
    if (variance < LEAST_VARIANCE) return;
    const msPerRow = Math.max(0, (products / runs - meanRows * meanMs) / variance);
    this.#fixedMs = Math.max(0, meanMs - msPerRow * meanRows);
  }

  /**
   * Until when it gains to wait; now or before where it does not.
   *
   * @param present - Requests that wait or run.
   */
  untilMs(present: number): number {
    const isAnyoneMissing = present + 1 <= this.#peak;
    return isAnyoneMissing && this.#gapMs < this.#fixedMs ? this.#sinceMs + this.#fixedMs : -Infinity;
  }
}
