import type { CallContext } from 'lamella/sdk';
import { CallBudget } from './call-budget.ts';
import { failureOf } from './failure.ts';
import type { RetrySettings, TrafficSettings } from './settings.ts';

/** What became of a failed try. */
export type RetryVerdict = 'retried' | 'over_budget' | 'final';

/** First pause before a request is made again, in milliseconds; doubled each time up to the limit, with jitter. */
const BACKOFF_MS = 10;
const BACKOFF_LIMIT_MS = 250;

/** A server that asks for more than this, in milliseconds, means that somebody else should wait. */
const PUSHBACK_LIMIT_MS = 5_000;

/** Decides whether and when failed requests are made again. */
export class Retries {
  readonly #settings: RetrySettings;
  readonly #isIdempotent: boolean;
  readonly #budget: CallBudget;
  readonly #onVerdict: (verdict: RetryVerdict) => void;

  constructor(traffic: TrafficSettings, onVerdict: (verdict: RetryVerdict) => void) {
    this.#settings = traffic.retry;
    this.#isIdempotent = traffic.isIdempotent;
    this.#budget = new CallBudget({ percent: traffic.retry.budgetPercent });
    this.#onVerdict = onVerdict;
  }

  /** A request came. */
  begin(): void {
    this.#budget.earn();
  }

  /**
   * Resolves when the request may be made again.
   *
   * @param attempt - Number of the try that failed, from 1.
   * @throws the error when it must not be.
   */
  async after(error: unknown, attempt: number, context: CallContext): Promise<void> {
    const pauseMs = this.#pauseMs(error, attempt);
    const isInTime =
      pauseMs !== undefined &&
      (context.deadlineMs === undefined || Date.now() + pauseMs < context.deadlineMs);
    if (!isInTime || context.signal.aborted) {
      this.#onVerdict('final');
      throw error;
    }
    if (!this.#budget.spend()) {
      this.#onVerdict('over_budget');
      throw error;
    }
    this.#onVerdict('retried');
    if (pauseMs > 0) await pause(pauseMs, context.signal);
  }

  /** Wait before the next try; `undefined` when there must be none. */
  #pauseMs(error: unknown, attempt: number): number | undefined {
    if (attempt >= this.#settings.maxAttempts) return undefined;
    const { code, wasNeverSent, pushbackMs } = failureOf(error, 0);
    if (pushbackMs !== undefined && pushbackMs > PUSHBACK_LIMIT_MS) return undefined;
    // What nobody has seen goes to another endpoint at once.
    if (wasNeverSent) return pushbackMs ?? 0;
    if (!this.#isIdempotent || !this.#settings.codes.has(code)) return undefined;
    return pushbackMs ?? Math.random() * Math.min(BACKOFF_LIMIT_MS, BACKOFF_MS * 2 ** (attempt - 1));
  }
}

/** @throws the signal's reason */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const stop = (): void => {
      clearTimeout(timer);
      reject(signal.reason as Error);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', stop);
      resolve();
    }, ms);
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
  });
}
