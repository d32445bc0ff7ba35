/** Weight of one batch in the rate. */
const WEIGHT = 0.1;

/** How long a request would wait that comes now, from how fast rows left while others waited. */
export class WaitEstimate {
  #rowsPerMs = 0;
  #lastMs: number | undefined;

  /**
   * Learns from a batch that was answered.
   *
   * @param wasCrowded - True when others waited all the time since the batch before: only then is the rate the model's own.
   */
  answered(rows: number, nowMs: number, wasCrowded: boolean): void {
    const sinceMs = this.#lastMs === undefined ? 0 : nowMs - this.#lastMs;
    this.#lastMs = nowMs;
    if (!wasCrowded || sinceMs <= 0) return;
    const rate = rows / sinceMs;
    this.#rowsPerMs = this.#rowsPerMs === 0 ? rate : this.#rowsPerMs + (rate - this.#rowsPerMs) * WEIGHT;
  }

  /** Milliseconds until so many rows have left; 0 while nothing is known. */
  waitMs(rows: number): number {
    return this.#rowsPerMs === 0 ? 0 : rows / this.#rowsPerMs;
  }
}
