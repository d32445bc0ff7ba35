import type { FetchHandler } from '../../sdk/index.ts';
import type { Call } from '../call.ts';
import type { Target } from '../target.ts';

/** Isolation levels that this kernel can give. */
export type IsolationName = 'INLINE' | 'WORKER' | 'PROCESS';

/** One running copy of a plugin. It is used once: a restart makes a new one. */
export interface Instance {
  readonly pluginId: string;
  readonly version: string;
  readonly isolation: IsolationName;
  /** SHA-256 of the code, or empty where the kernel does not see code. */
  readonly digest: string;
  readonly pid: number | undefined;
  readonly target: Target;
  readonly http: FetchHandler | undefined;
  readonly load: InstanceLoad;
  /** Resolves with the reason when the instance ends by itself; never for one that was stopped. */
  readonly crashed: Promise<string>;
  /** Releases everything. Never throws; returns when all is gone or the limit has passed. */
  stop(): Promise<void>;
}

/** Counts the calls of one instance, so that it can be drained. */
export class InstanceLoad {
  #running: Set<Call> = new Set();
  #idle: (() => void) | undefined;

  get inFlight(): number {
    return this.#running.size;
  }

  enter(call: Call): void {
    this.#running.add(call);
  }

  leave(call: Call): void {
    this.#running.delete(call);
    if (this.#running.size === 0) this.#idle?.();
  }

  /**
   * Waits until no call runs.
   *
   * @param limitMs - After this time the calls left are aborted with `reason`, in milliseconds.
   * @returns number of calls that had to be aborted.
   */
  async drain(limitMs: number, reason: Error): Promise<number> {
    if (this.#running.size === 0) return 0;
    const idle = new Promise<void>((resolve) => {
      this.#idle = resolve;
    });
    let timer: NodeJS.Timeout | undefined;
    const limit = new Promise<'late'>((resolve) => {
      timer = setTimeout(resolve, limitMs, 'late');
    });
    const outcome = await Promise.race([idle, limit]);
    clearTimeout(timer);
    if (outcome !== 'late') return 0;
    const left = [...this.#running];
    for (const call of left) call.abort(reason);
    return left.length;
  }
}
