import type { Logger } from '../../sdk/index.ts';
import { PluginReplaced } from './errors.ts';
import type { Instance } from './instance.ts';

/** Where an instance is on its way out of service. */
export type RetirementState = 'DRAINING' | 'STANDBY' | 'STOPPED';

/** How long an instance stays on its way out. */
export interface RetirementOptions {
  /** Time running calls get, in milliseconds. */
  readonly drainMs: number;
  /** Time it then waits to be called back, in milliseconds; 0 stops it once it is drained. */
  readonly standbyMs: number;
  readonly log: Logger;
  /** Told when the instance can no longer be called back. */
  readonly onStopping?: () => void;
}

/**
 * The way of one instance out of service: it finishes its calls, waits for a while in case it is wanted back, and is
 * stopped.
 */
export class Retirement {
  readonly #instance: Instance;
  readonly #options: RetirementOptions;
  readonly #recalled: AbortController = new AbortController();
  #state: RetirementState = 'DRAINING';
  #isExpired = false;
  #endStandby: (() => void) | undefined;
  /** Resolves when the instance has stopped or was called back. */
  readonly done: Promise<void>;

  constructor(instance: Instance, options: RetirementOptions) {
    this.#instance = instance;
    this.#options = options;
    this.#isExpired = options.standbyMs === 0;
    instance.load.events.close();
    this.done = this.#run();
  }

  get state(): RetirementState {
    return this.#state;
  }

  /** Calls the instance back into service. @returns false when it has stopped or is about to. */
  recall(): boolean {
    if (this.#state === 'STOPPED') return false;
    this.#recalled.abort();
    this.#instance.load.events.open();
    this.#endStandby?.();
    return true;
  }

  /** Nobody wants it back: it is stopped as soon as its calls are done. */
  expire(): void {
    this.#isExpired = true;
    this.#endStandby?.();
  }

  async #run(): Promise<void> {
    const { drainMs, log } = this.#options;
    const { pluginId, version } = this.#instance;
    const aborted = await this.#instance.load.drain({
      limitMs: drainMs,
      recalled: this.#recalled.signal,
      reason: new PluginReplaced({ plugin: pluginId, seconds: String(drainMs / 1_000) }),
    });
    if (aborted > 0) log.warn('calls were aborted after the drain time', { plugin: pluginId, aborted });
    if (!this.#isExpired && !this.#recalled.signal.aborted) await this.#standby();
    if (this.#recalled.signal.aborted) return;
    this.#state = 'STOPPED';
    this.#options.onStopping?.();
    await this.#instance.stop();
    log.debug('an instance has stopped', { plugin: pluginId, version });
  }

  async #standby(): Promise<void> {
    this.#state = 'STANDBY';
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.#endStandby = resolve;
      timer = setTimeout(resolve, this.#options.standbyMs);
    });
    clearTimeout(timer);
  }
}
