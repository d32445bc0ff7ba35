import { CallBudget } from './call-budget.ts';
import type { LatencyWindow } from './latency-window.ts';
import type { HedgeSettings } from './settings.ts';

/** Makes one try of a request; the signal cancels it. */
export type Try<Answer> = (signal: AbortSignal) => Promise<Answer>;

/** Answers that a percentile needs before it says something. */
const MIN_ANSWERS = 20;

/** Asks a second endpoint when the first is slow. */
export class Hedging {
  readonly #settings: HedgeSettings;
  readonly #latencies: LatencyWindow;
  readonly #budget: CallBudget;
  readonly #onHedge: () => void;

  constructor(settings: HedgeSettings, latencies: LatencyWindow, onHedge: () => void) {
    this.#settings = settings;
    this.#latencies = latencies;
    this.#budget = new CallBudget({ percent: settings.budgetPercent, reserve: 1 });
    this.#onHedge = onHedge;
  }

  /**
   * The first good answer of one or two tries; the other try is cancelled.
   *
   * @param second - Gives the second try, or nothing where there is no other endpoint.
   * @throws the last error when no try is answered.
   */
  async race<Answer>(first: Try<Answer>, second: () => Try<Answer> | undefined): Promise<Answer> {
    this.#budget.earn();
    const delayMs = this.#delayMs();
    return new Promise<Answer>((resolve, reject) => {
      const race = new Race<Answer>(resolve, reject);
      race.begin(first);
      if (delayMs === undefined) return;
      race.timer = setTimeout(() => {
        const other = second();
        if (other === undefined || !this.#budget.spend()) return;
        this.#onHedge();
        race.begin(other);
      }, delayMs);
    });
  }

  #delayMs(): number | undefined {
    const { delayMs, percentile } = this.#settings;
    if (delayMs !== undefined) return delayMs;
    return this.#latencies.count < MIN_ANSWERS ? undefined : this.#latencies.percentile(percentile);
  }
}

/** Tries of one request that run at the same time. */
class Race<Answer> {
  timer: NodeJS.Timeout | undefined;
  readonly #resolve: (answer: Answer) => void;
  readonly #reject: (error: Error) => void;
  readonly #controllers: AbortController[] = [];
  #running = 0;

  constructor(resolve: (answer: Answer) => void, reject: (error: Error) => void) {
    this.#resolve = resolve;
    this.#reject = reject;
  }

  begin(attempt: Try<Answer>): void {
    const controller = new AbortController();
    this.#controllers.push(controller);
    this.#running += 1;
    attempt(controller.signal).then(
      (answer) => {
        this.#resolve(answer);
        this.#end();
      },
      (error: unknown) => {
        this.#running -= 1;
        if (this.#running > 0) return;
        this.#reject(error as Error);
        this.#end();
      },
    );
  }

  /** Cancels what still runs. */
  #end(): void {
    clearTimeout(this.timer);
    for (const controller of this.#controllers) controller.abort();
  }
}
