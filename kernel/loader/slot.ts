import { Code, type DeclaredError } from '../../sdk/index.ts';
import type { Call } from '../call.ts';
import { ParkingFull, PluginNotReady } from '../errors.ts';
import { StatusError } from '../status-error.ts';
import type { Instance } from './instance.ts';

/** Bounds of a slot, from the manifest's resources and the kernel's defaults. */
export interface SlotLimits {
  /** Calls that may wait while the plugin is not ready. */
  readonly parked: number;
  /** Longest wait of a parked call, in milliseconds. */
  readonly parkedMs: number;
}

/** What {@link Slot.refusal} needs to word its answer. */
export interface SlotCondition {
  readonly state: string;
  readonly reason: string;
  /** Whether waiting makes sense: starting, reloading, backing off. */
  readonly mayBecomeReady: boolean;
}

interface Waiter {
  readonly resolve: (instance: Instance) => void;
  readonly reject: (error: Error) => void;
}

/** Delay suggested to callers that are refused because a plugin is not ready, in milliseconds. */
const PUSHBACK_MS = 250;

/** A second instance that gets a share of the calls. */
export interface Canary {
  readonly instance: Instance;
  /** Share of the calls, 1 to 99. */
  readonly percent: number;
}

/**
 * The place of one plugin in the kernel: routes point here, and what stands here changes under them. Swapping the
 * instance is one assignment; calls that come while the place is empty are parked.
 */
export class Slot {
  readonly pluginId: string;
  /** Those of the version in service, or of the one that is to be. */
  limits: SlotLimits;
  #instance: Instance | undefined;
  /** Gets its share of the calls before the instance gets the rest. */
  canary: Canary | undefined;
  /** Starts the plugin; there until its first call has done so. */
  wake: (() => void) | undefined;
  /** Delay suggested to callers that are refused because the plugin is not ready, in milliseconds. */
  retryAfterMs: number = PUSHBACK_MS;
  #condition: SlotCondition = { state: 'DISCOVERED', reason: '', mayBecomeReady: true };
  readonly #waiting: Set<Waiter> = new Set();

  constructor(pluginId: string, limits: SlotLimits) {
    this.pluginId = pluginId;
    this.limits = limits;
  }

  get instance(): Instance | undefined {
    return this.#instance;
  }

  /** Whether calls may wait while there is no instance. */
  get mayBecomeReady(): boolean {
    return this.#condition.mayBecomeReady;
  }

  /** Whether calls are answered, at once or after a start. */
  get isServing(): boolean {
    return this.#instance !== undefined || (this.wake !== undefined && this.#condition.mayBecomeReady);
  }

  get parkedCount(): number {
    return this.#waiting.size;
  }

  /** Puts an instance in place and lets the parked calls go. Returns the one that stood there. */
  swap(next: Instance | undefined): Instance | undefined {
    const previous = this.#instance;
    this.#instance = next;
    if (next !== undefined) {
      this.wake = undefined;
      this.retryAfterMs = PUSHBACK_MS;
      for (const waiter of this.#waiting) waiter.resolve(next);
      this.#waiting.clear();
    }
    return previous;
  }

  /** Tells the slot how the plugin is; when it cannot become ready, parked calls are refused. */
  setCondition(condition: SlotCondition): void {
    this.#condition = condition;
    if (condition.mayBecomeReady || this.#instance !== undefined) return;
    const refusal = this.#refusal();
    for (const waiter of this.#waiting) waiter.reject(refusal);
    this.#waiting.clear();
  }

  /**
   * The instance that serves a call, at once or when there is one.
   *
   * @throws PLUGIN_NOT_READY, PARKING_FULL
   */
  acquire(call: Call): Instance | Promise<Instance> {
    const { canary } = this;
    const isCanary = canary !== undefined && Math.random() * 100 < canary.percent;
    const instance = isCanary ? canary.instance : this.#instance;
    return instance ?? this.#park(call);
  }

  async #park(call: Call): Promise<Instance> {
    if (!this.#condition.mayBecomeReady) throw this.#refusal();
    if (this.#waiting.size >= this.limits.parked) {
      throw new ParkingFull(
        { plugin: this.pluginId, limit: String(this.limits.parked) },
        { retryAfterMs: PUSHBACK_MS },
      );
    }
    return new Promise<Instance>((resolve, reject) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(waiter);
        call.signal.removeEventListener('abort', onAbort);
      };
      const waiter: Waiter = {
        resolve: (instance) => {
          done();
          resolve(instance);
        },
        reject: (error) => {
          done();
          reject(error);
        },
      };
      const onAbort = (): void => waiter.reject(abortError(call.signal.reason));
      const timer = setTimeout(() => waiter.reject(this.#refusal()), this.limits.parkedMs);
      call.signal.addEventListener('abort', onAbort, { once: true });
      this.#waiting.add(waiter);
      this.wake?.();
    });
  }

  #refusal(): DeclaredError {
    const { state, reason } = this.#condition;
    return new PluginNotReady({ plugin: this.pluginId, state, reason }, { retryAfterMs: this.retryAfterMs });
  }
}

function abortError(reason: unknown): Error {
  return reason instanceof Error
    ? reason
    : new StatusError({ code: Code.CANCELLED, message: 'The call was cancelled.' });
}
