import type { FetchHandler } from '../../sdk/index.ts';
import type { Call } from '../call.ts';
import { isFault } from '../fault.ts';
import { IndexedSet } from '../indexed-set.ts';
import type { Target } from '../target.ts';
import type { Admission } from './admission.ts';
import { EventGate } from '../topics/event-gate.ts';
import { Vitals } from './vitals.ts';

/** Isolation levels that this kernel can give. */
export type IsolationName = 'INLINE' | 'WORKER' | 'PROCESS' | 'REMOTE';

/** One running copy of a plugin. It is used once: a restart makes a new one. */
export interface Instance {
  readonly pluginId: string;
  readonly version: string;
  readonly isolation: IsolationName;
  /** SHA-256 of the code, or empty where the kernel does not see code. */
  readonly digest: string;
  readonly pid: number | undefined;
  /** A program that the system shows no files but its own and granted ones. */
  readonly isHeldToFiles?: boolean;
  readonly target: Target;
  readonly http: FetchHandler | undefined;
  readonly load: InstanceLoad;
  /** Resolves with the reason when the instance ends by itself; never for one that was stopped. */
  readonly crashed: Promise<string>;
  /** Releases everything. Never throws; returns when all is gone or the limit has passed. */
  stop(): Promise<void>;
}

/** How the calls of an instance ended; versions are compared by it. */
export interface Tally {
  readonly calls: number;
  /** Calls that failed by the plugin's fault. */
  readonly faults: number;
}

/** How an instance is drained. */
export interface Drain {
  /** After this time the calls left are aborted, in milliseconds. */
  readonly limitMs: number;
  /** What callers of aborted calls are told. */
  readonly reason: Error;
  /** Ends the wait without touching a call: the instance goes back into service. */
  readonly recalled: AbortSignal;
}

/** Counts the calls of one instance, so that it can be drained and compared with another. */
export class InstanceLoad {
  readonly #running: IndexedSet<Call> = new IndexedSet();
  #idle: (() => void) | undefined;
  #calls = 0;
  #faults = 0;
  readonly #admission: Admission | undefined;
  /** How the instance is doing. */
  readonly vitals: Vitals;
  /** Lets events in while the instance is in service. */
  readonly events: EventGate = new EventGate();
  /** Told after each call that failed by the plugin's fault. */
  onFault: (() => void) | undefined;

  /** @param admission - Bounds the calls; the kernel's own services have no bounds. */
  constructor(admission?: Admission, vitals: Vitals = new Vitals()) {
    this.#admission = admission;
    this.vitals = vitals;
  }

  get inFlight(): number {
    return this.#running.size;
  }

  /** Calls that wait for others to end; they count as in flight too. */
  get waiting(): number {
    return this.#admission?.waitingCount ?? 0;
  }

  /** Calls by the number that may run at once, above 1 when some wait; `undefined` without a limit. */
  get utilization(): number | undefined {
    return this.#admission?.utilization;
  }

  get tally(): Tally {
    return { calls: this.#calls, faults: this.#faults };
  }

  /**
   * A call begins, now or when another one has made room.
   *
   * @throws TOO_MANY_CALLS, PLUGIN_RATE_LIMITED, CIRCUIT_OPEN
   */
  enter(call: Call): undefined | Promise<void> {
    const waiting = this.#admission?.enter(call);
    this.#running.add(call);
    return waiting?.catch((error: unknown) => {
      this.#running.delete(call);
      if (this.#running.size === 0) this.#idle?.();
      throw error;
    });
  }

  /** The call is over; `failure` is what it failed with. Told twice, it counts once. */
  leave(call: Call, failure?: unknown): void {
    if (!this.#running.delete(call)) return;
    this.#admission?.leave(call, failure);
    if (this.#running.size === 0) this.#idle?.();
    this.#calls += 1;
    if (failure === undefined || !(this.#admission?.isFault(failure) ?? isFault(failure))) return;
    this.#faults += 1;
    this.onFault?.();
  }

  /**
   * Waits until no call runs.
   *
   * @returns number of calls that had to be aborted.
   */
  async drain({ limitMs, reason, recalled }: Drain): Promise<number> {
    if (this.#running.size === 0 || recalled.aborted) return 0;
    let timer: NodeJS.Timeout | undefined;
    const outcome = await new Promise<'idle' | 'late' | 'recalled'>((resolve) => {
      this.#idle = () => resolve('idle');
      timer = setTimeout(resolve, limitMs, 'late');
      recalled.addEventListener('abort', () => resolve('recalled'), { once: true });
    });
    clearTimeout(timer);
    this.#idle = undefined;
    if (outcome !== 'late') return 0;
    const left = this.#running.values();
    for (const call of left) call.abort(reason);
    return left.length;
  }
}
