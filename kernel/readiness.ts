import type { PluginRecord } from './loader/record.ts';
import type { Slot } from './loader/slot.ts';
import type { Router } from './router.ts';
import { type HealthRegistry, LIVENESS_SERVICE } from './server/health.ts';

/** Whether calls should be sent here. */
export interface ReadinessReport {
  readonly isReady: boolean;
  /** What stands in the way, a phrase each; ids and states only, since anybody may ask. */
  readonly reasons: readonly string[];
}

/** Input of {@link Readiness}. */
export interface ReadinessParts {
  readonly health: HealthRegistry;
  readonly router: Router;
  /** Ids that the operator requires; every plugin that is asked to start, without. */
  readonly required: readonly string[] | undefined;
  readonly find: (id: string) => PluginRecord | undefined;
}

/**
 * Tells health whether the kernel as a whole, and each service, takes calls.
 *
 * @remarks A plugin that restarts after a crash does not make the kernel unready: its calls wait, and taking the whole
 * node out of a balancer for a quarter of a second would cost more than it saves. When it gives up, it is FAILED.
 */
export class Readiness {
  readonly #parts: ReadinessParts;
  #phase: 'starting' | 'started' | 'draining' = 'starting';
  #required: ReadonlySet<string>;

  constructor(parts: ReadinessParts) {
    this.#parts = parts;
    this.#required = new Set(parts.required);
    parts.health.set(LIVENESS_SERVICE, 'SERVING');
    this.#tell();
  }

  /** Everything has been asked to start, and has or has failed. */
  begin(asked: readonly string[]): void {
    if (this.#parts.required === undefined) this.#required = new Set(asked);
    this.#phase = 'started';
    this.#tell();
  }

  /** Whether {@link begin} was reached and the end was not. */
  get isStarted(): boolean {
    return this.#phase === 'started';
  }

  /** No new calls, please: the kernel is about to stop. */
  drain(): void {
    this.#phase = 'draining';
    this.#parts.health.shutdown();
  }

  /** A plugin moved through its life cycle. */
  onChange(record: PluginRecord): void {
    const { health, router } = this.#parts;
    for (const { service } of record.manifest.provides) {
      const providers = router.providers(service);
      const isServing = providers.some((slot) => slot.isServing && !isUnhealthy(slot));
      if (record.state === 'REMOVED' && providers.length === 0) health.remove(service);
      else health.set(service, isServing ? 'SERVING' : 'NOT_SERVING');
    }
    this.#tell();
  }

  get report(): ReadinessReport {
    const reasons = this.#phase === 'started' ? this.#obstacles() : [`the kernel is ${this.#phase}`];
    return { isReady: reasons.length === 0, reasons };
  }

  #tell(): void {
    this.#parts.health.set('', this.report.isReady ? 'SERVING' : 'NOT_SERVING');
  }

  #obstacles(): string[] {
    return [...this.#required].flatMap((id) => {
      const record = this.#parts.find(id);
      if (record === undefined) return this.#isNamed(id) ? [`plugin '${id}' is not loaded`] : [];
      return takesCalls(record) ? [] : [`plugin '${id}' is ${record.state}`];
    });
  }

  /** Whoever unloads a plugin that was only there does not want it; one in the configuration is wanted. */
  #isNamed(id: string): boolean {
    return this.#parts.required?.includes(id) === true;
  }
}

/** Whether the instance in service says that it does not serve. */
function isUnhealthy({ instance }: Slot): boolean {
  return instance?.load.vitals.isUnhealthy === true;
}

function takesCalls({ slot, generations }: PluginRecord): boolean {
  return slot.isServing || (generations > 0 && slot.mayBecomeReady);
}
