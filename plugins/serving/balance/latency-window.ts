/** Bounds of the first bucket and ratio from one to the next: 16 microseconds to 3 hours in steps of 10 %. */
const FIRST_MS = 0.016;
const STEP: number = Math.log(1.1);
const BUCKETS = 220;

/** How long a sample counts at least, in milliseconds; it counts twice that at the most. */
const GENERATION_MS = 30_000;

/** Latencies of the last half minute to minute, as counts in logarithmic buckets: percentiles are exact to 10 %. */
export class LatencyWindow {
  readonly #generationMs: number;
  #current: Uint32Array = new Uint32Array(BUCKETS);
  #previous: Uint32Array = new Uint32Array(BUCKETS);
  #currentCount = 0;
  #previousCount = 0;
  #startMs: number | undefined;

  /** @param generationMs - `Infinity` keeps all samples until {@link clear}. */
  constructor(generationMs: number = GENERATION_MS) {
    this.#generationMs = generationMs;
  }

  /** @param nowMs - Time on a clock that never jumps. */
  observe(latencyMs: number, nowMs: number): void {
    this.#turn(nowMs);
    const place = Math.ceil(Math.log(latencyMs / FIRST_MS) / STEP);
    const bucket = Math.min(BUCKETS - 1, Math.max(0, place));
    this.#current[bucket] = (this.#current[bucket] ?? 0) + 1;
    this.#currentCount += 1;
  }

  #turn(nowMs: number): void {
    this.#startMs ??= nowMs;
    const age = nowMs - this.#startMs;
    if (age < this.#generationMs) return;
    // Long silence leaves nothing of before.
    const isRecent = age < 2 * this.#generationMs;
    this.#previous = isRecent ? this.#current : new Uint32Array(BUCKETS);
    this.#previousCount = isRecent ? this.#currentCount : 0;
    this.#currentCount = 0;
    this.#current = new Uint32Array(BUCKETS);
    this.#startMs = nowMs;
  }

  get count(): number {
    return this.#currentCount + this.#previousCount;
  }

  /** Upper bound of the bucket that a percentile falls into, in milliseconds; `undefined` without samples. */
  percentile(percent: number): number | undefined {
    const wanted = (this.count * percent) / 100;
    if (wanted === 0) return undefined;
    let seen = 0;
    for (let bucket = 0; bucket < BUCKETS; bucket += 1) {
      seen += this.#at(bucket);
      if (seen >= wanted) return FIRST_MS * Math.exp(bucket * STEP);
    }
    return undefined;
  }

  clear(): void {
    this.#current.fill(0);
    this.#previous.fill(0);
    this.#currentCount = 0;
    this.#previousCount = 0;
  }

  #at(bucket: number): number {
    return (this.#current[bucket] ?? 0) + (this.#previous[bucket] ?? 0);
  }
}
