import { RemoteUnreachable } from '../errors.ts';
import { backoffMs, isGivenUp, recentCrashes } from '../registry/backoff.ts';
import { PluginCodeChanged } from './errors.ts';
import type { Generation } from './generation.ts';
import type { Lifecycle } from './lifecycle.ts';
import type { PluginRecord } from './record.ts';

/** Input of {@link Supervisor}. */
export interface SupervisorParts {
  readonly lifecycle: Lifecycle;
  /** Takes a generation that ended out of service. @returns whether something else serves in its place. */
  readonly lost: (record: PluginRecord, generation: Generation, how: string) => boolean;
  readonly restart: (record: PluginRecord) => Promise<void>;
  /** How a generation is doing has changed. */
  readonly ailing: (record: PluginRecord, generation: Generation) => void;
}

/** Restarts instances that end by themselves: after a growing pause, and not for ever. */
export class Supervisor {
  readonly #parts: SupervisorParts;
  /** The next start of each plugin; one that crashes again before it has that one put off. */
  readonly #timers: Map<PluginRecord, NodeJS.Timeout> = new Map();
  #isStopped = false;

  constructor(parts: SupervisorParts) {
    this.#parts = parts;
  }

  /** Watches an instance until it crashes or is stopped. */
  watch(record: PluginRecord, generation: Generation): void {
    generation.instance.load.vitals.onChange = () => this.#parts.ailing(record, generation);
    void generation.instance.crashed.then((how) => {
      if (this.#isStopped || this.#parts.lost(record, generation, how)) return;
      const level = generation.instance.isolation.toLowerCase();
      this.#schedule(record, `its ${level} ended: ${how}`);
    });
  }

  /** Starts a plugin anew that did not start: for ever when it runs elsewhere, since it is not ours to mend. */
  retry(record: PluginRecord, error: Error): void {
    if (!this.#isStopped) this.#schedule(record, error.message, error instanceof RemoteUnreachable);
  }

  /** Nothing is restarted any more. */
  stop(): void {
    this.#isStopped = true;
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
  }

  #schedule(record: PluginRecord, reason: string, isPatient = false): void {
    const { lifecycle } = this.#parts;
    clearTimeout(this.#timers.get(record));
    this.#timers.delete(record);
    // A clock that is set back must not make old crashes new ones.
    const nowMs = performance.now();
    record.crashesMs = recentCrashes([...record.crashesMs, nowMs], nowMs);
    if (!isPatient && isGivenUp(record.crashesMs, nowMs)) {
      record.givenUp = `${reason}; it crashed too often and is not restarted before 'lamella plugin reload ${record.id}'`;
      lifecycle.move(record, 'give-up', record.givenUp);
      return;
    }
    const pauseMs = backoffMs(record.crashesMs, nowMs);
    lifecycle.move(record, 'crash', reason);
    const timer = setTimeout(() => {
      this.#timers.delete(record);
      record.restarts += 1;
      void this.#restart(record);
    }, pauseMs);
    this.#timers.set(record, timer);
  }

  async #restart(record: PluginRecord): Promise<void> {
    try {
      await this.#parts.restart(record);
    } catch (error) {
      // Somebody may have loaded another version meanwhile, or unloaded it.
      if (this.#isStopped || record.active !== undefined || record.state === 'REMOVED') return;
      // However often it is tried, its folder will not hold again what ran.
      if (error instanceof PluginCodeChanged) return;
      this.retry(record, error as Error);
    }
  }
}
