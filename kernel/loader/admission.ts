import type { TokenBuckets } from '../access/rate-limits.ts';
import { Code } from '../../sdk/index.ts';
import type { Call } from '../call.ts';
import { CircuitOpen, PluginRateLimited, TooManyCalls } from '../errors.ts';
import { isFaultOf } from '../fault.ts';
import { StatusError } from '../status-error.ts';
import type { CircuitBreaker } from './circuit-breaker.ts';

/** Bounds within which an instance is called. */
export interface AdmissionLimits {
  readonly pluginId: string;
  /** Calls that may run at once; 0 means no limit. */
  readonly concurrency: number;
  /** Calls that may wait for one of those to end. */
  readonly queue: number;
  /** Shared by all instances of the plugin. */
  readonly rate?: TokenBuckets | undefined;
  readonly breaker?: CircuitBreaker | undefined;
}

/** A deadline that gave less than this says more about the caller than about the plugin, in milliseconds. */
const FAIR_TIME_MS = 1_000;

interface Waiter {
  readonly admit: () => void;
}

/** Decides which calls an instance gets, and when: rate, circuit, concurrency with a bounded queue, in this order. */
export class Admission {
  readonly #limits: AdmissionLimits;
  readonly #waiting: Set<Waiter> = new Set();
  #admitted = 0;

  constructor(limits: AdmissionLimits) {
    this.#limits = limits;
  }

  get waitingCount(): number {
    return this.#waiting.size;
  }

  /** Calls by the number that may run at once, above 1 when some wait; `undefined` without a limit. */
  get utilization(): number | undefined {
    const { concurrency } = this.#limits;
    return concurrency === 0 ? undefined : (this.#admitted + this.#waiting.size) / concurrency;
  }

  /**
   * Lets a call in, now or when another one ends. Every call that was let in must {@link leave}.
   *
   * @throws PLUGIN_RATE_LIMITED, CIRCUIT_OPEN, TOO_MANY_CALLS, each with the delay after which to retry.
   */
  enter(call: Call): undefined | Promise<void> {
    const { concurrency } = this.#limits;
    this.#checkRate();
    this.#checkQueue();
    this.#checkCircuit();
    if (concurrency === 0 || this.#admitted < concurrency) {
      this.#admitted += 1;
      return undefined;
    }
    return this.#wait(call);
  }

  #checkRate(): void {
    const { pluginId, rate } = this.#limits;
    const waitMs = rate?.take(pluginId) ?? 0;
    if (waitMs > 0) throw new PluginRateLimited({ plugin: pluginId }, { retryAfterMs: waitMs });
  }

  #checkQueue(): void {
    const { pluginId, concurrency, queue } = this.#limits;
    if (concurrency === 0 || this.#admitted < concurrency || this.#waiting.size < queue) return;
    throw new TooManyCalls({ plugin: pluginId, limit: String(concurrency), queue: String(queue) });
  }

  #checkCircuit(): void {
    const { pluginId, breaker } = this.#limits;
    const waitMs = breaker?.enter() ?? 0;
    if (waitMs > 0) throw new CircuitOpen({ plugin: pluginId }, { retryAfterMs: waitMs });
  }

  async #wait(call: Call): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const waiter: Waiter = {
        admit: () => {
          this.#waiting.delete(waiter);
          this.#admitted += 1;
          resolve();
        },
      };
      this.#waiting.add(waiter);
      call.onAbort((reason) => {
        if (!this.#waiting.delete(waiter)) return;
        this.#limits.breaker?.leave(false);
        reject(reason instanceof Error ? reason : new Error('The call was aborted.'));
      });
    });
  }

  /** Whether a call failed by the fault of the plugin. */
  isFault(failure: unknown): boolean {
    return isFaultOf(this.#limits.pluginId, failure);
  }

  /** A call that was let in has ended. */
  leave(call: Call, failure: unknown): void {
    this.#admitted -= 1;
    this.#limits.breaker?.leave(this.isFault(failure) && !wasHurried(call, failure));
    const [next] = this.#waiting;
    next?.admit();
  }
}

function wasHurried(call: Call, failure: unknown): boolean {
  const code = failure instanceof StatusError ? failure.code : Reflect.get(Object(failure), 'code');
  if (code !== Code.DEADLINE_EXCEEDED) return false;
  return Number(process.hrtime.bigint() - call.startedNs) / 1e6 < FAIR_TIME_MS;
}
