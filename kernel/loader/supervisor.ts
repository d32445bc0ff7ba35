import { backoffMs, isGivenUp } from '../registry/backoff.ts';
import type { Instance } from './instance.ts';
import type { Lifecycle } from './lifecycle.ts';
import type { PluginRecord } from './record.ts';

/** Restarts instances that end by themselves: after a growing pause, and not for ever. */
export class Supervisor {
  readonly #lifecycle: Lifecycle;
  readonly #restart: (record: PluginRecord) => Promise<void>;
  readonly #timers: Set<NodeJS.Timeout> = new Set();
  #isStopped = false;

  constructor(lifecycle: Lifecycle, restart: (record: PluginRecord) => Promise<void>) {
    this.#lifecycle = lifecycle;
    this.#restart = restart;
  }

  /** Watches an instance until it crashes or is stopped. */
  watch(record: PluginRecord, instance: Instance): void {
    void instance.crashed.then((how) => this.#onCrash(record, instance, how));
  }

  /** Nothing is restarted any more. */
  stop(): void {
    this.#isStopped = true;
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
  }

  #onCrash(record: PluginRecord, instance: Instance, how: string): void {
    // An instance that no longer serves has nothing to come back for.
    if (this.#isStopped || record.slot.instance !== instance) return;
    record.slot.swap(undefined);
    this.#schedule(record, `its ${instance.isolation.toLowerCase()} ended: ${how}`);
  }

  #schedule(record: PluginRecord, reason: string): void {
    const nowMs = this.#lifecycle.nowMs();
    record.crashesMs.push(nowMs);
    if (isGivenUp(record.crashesMs, nowMs)) {
      this.#lifecycle.move(record, 'give-up', `${reason}; it crashed too often and is not restarted`);
      return;
    }
    const pauseMs = backoffMs(record.crashesMs, nowMs);
    this.#lifecycle.move(record, 'crash', reason);
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      record.restarts += 1;
      this.#restart(record).catch((error: unknown) => {
        if (!this.#isStopped) this.#schedule(record, (error as Error).message);
      });
    }, pauseMs);
    this.#timers.add(timer);
  }
}
