/** Time that passes only when a test says so; it stands in for the timers, the clocks and the chance of this process. */
export class FakeTime {
  /** Far from 0, as real clocks are. */
  nowMs = 1_000_000_000;
  readonly #timers: Map<number, { readonly dueMs: number; readonly run: () => void }> = new Map();
  readonly #real = { setTimeout, clearTimeout, now: Date.now, random: Math.random };
  #timerCount = 0;
  #chance: number;

  /** @param seed - Decides all chance; any number. */
  constructor(seed: number) {
    this.#chance = seed >>> 0;
  }

  /** Timers that have neither run nor been cleared. */
  get pendingCount(): number {
    return this.#timers.size;
  }

  install(): void {
    globalThis.setTimeout = this.#setTimeout as typeof setTimeout;
    globalThis.clearTimeout = (timer) => void this.#timers.delete(Number(timer));
    Date.now = () => this.nowMs;
    Math.random = () => this.#random();
    Object.defineProperty(performance, 'now', { value: () => this.nowMs, configurable: true });
  }

  uninstall(): void {
    globalThis.setTimeout = this.#real.setTimeout;
    globalThis.clearTimeout = this.#real.clearTimeout;
    Date.now = this.#real.now;
    Math.random = this.#real.random;
    Reflect.deleteProperty(performance, 'now');
  }

  /** Lets time pass; `settle` is awaited after each timer, so that what it started sees the time it was started at. */
  async advance(ms: number, settle: () => Promise<void>): Promise<void> {
    const untilMs = this.nowMs + ms;
    for (let next = this.#next(untilMs); next !== undefined; next = this.#next(untilMs)) {
      const [id, { dueMs, run }] = next;
      this.#timers.delete(id);
      this.nowMs = dueMs;
      run();
      await settle();
    }
    this.nowMs = untilMs;
  }

  #next(untilMs: number): [number, { readonly dueMs: number; readonly run: () => void }] | undefined {
    const due = [...this.#timers].filter(([, { dueMs }]) => dueMs <= untilMs);
    return due.toSorted(([, one], [, other]) => one.dueMs - other.dueMs)[0];
  }

  readonly #setTimeout = <Values extends unknown[]>(
    listener: (...values: Values) => void,
    ms = 0,
    ...values: Values
  ): unknown => {
    this.#timerCount += 1;
    const id = this.#timerCount;
    this.#timers.set(id, { dueMs: this.nowMs + ms, run: () => listener(...values) });
    const timer = { unref: () => timer, ref: () => timer, [Symbol.toPrimitive]: () => id };
    return timer;
  };

  /** A linear congruential generator: the same seed gives the same run. */
  #random(): number {
    this.#chance = (Math.imul(this.#chance, 1_664_525) + 1_013_904_223) >>> 0;
    return this.#chance / 2 ** 32;
  }
}
