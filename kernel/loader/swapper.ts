import type { Logger } from '../../sdk/index.ts';
import { isRegression } from '../registry/regression.ts';
import { NothingToPromote, NothingToRollBack } from './errors.ts';
import type { Generation } from './generation.ts';
import type { Tally } from './instance.ts';
import type { Lifecycle } from './lifecycle.ts';
import type { PluginRecord } from './record.ts';
import { Retirement } from './retirement.ts';
import type { Routes } from './routes.ts';
import { slotLimits } from './slot-for.ts';
import { drainLimitMs } from './time-limits.ts';

/** Input of {@link Swapper}. */
export interface SwapperParts {
  readonly log: Logger;
  readonly lifecycle: Lifecycle;
  readonly routes: Routes;
  /** Time a replaced version waits to be called back, in milliseconds; 0 gives none. */
  readonly rollbackWindowMs: number;
  /** Whether there is memory to keep a replaced version beside its successor. */
  readonly hasMemoryFor: (generation: Generation) => boolean;
  /** Told after each change of what gets calls. */
  readonly onSwap: (record: PluginRecord) => void;
}

/**
 * Puts versions of a plugin into service and takes them out: upgrade, canary, promotion and rollback are one swap of
 * a pointer, whichever way it goes.
 */
export class Swapper {
  readonly #parts: SwapperParts;

  constructor(parts: SwapperParts) {
    this.#parts = parts;
  }

  /** Gives all calls to a version; the one before it drains and waits to be called back. */
  upgrade(record: PluginRecord, next: Generation): void {
    const previous = record.active;
    record.setAside = undefined;
    this.#dropCanary(record, next);
    this.#swap(record, next, '');
    if (previous === undefined) return;
    this.#retire(record, previous, this.#standbyMs(previous));
    this.#watchFaults(record, next, previous);
  }

  /** Gives a version a share of the calls beside the one in service. */
  tryOut(record: PluginRecord, next: Generation, percent: number): void {
    const { active } = record;
    this.#dropCanary(record, next);
    record.canary = next;
    record.slot.canary = { instance: next.instance, percent };
    this.#parts.lifecycle.note(record, `version ${next.manifest.version} gets ${percent} % of the calls`);
    if (active !== undefined) this.#watchFaults(record, next, active);
    this.#parts.onSwap(record);
  }

  /** @throws NOTHING_TO_PROMOTE */
  promote(record: PluginRecord): void {
    const { canary } = record;
    if (canary === undefined) throw new NothingToPromote({ plugin: record.id });
    this.upgrade(record, canary);
  }

  /**
   * Takes the newest version out of service again: a canary, or else the last upgrade.
   *
   * @param why - What an operator reads; the version that was taken out is not kept when there is a reason.
   * @throws NOTHING_TO_ROLL_BACK
   */
  rollBack(record: PluginRecord, why = ''): void {
    const { canary, active, standby } = record;
    const reason = why === '' ? '' : `${why}; rolled back`;
    if (canary !== undefined) {
      this.#endTrial(record, canary, reason);
      return;
    }
    if (standby?.retirement?.recall() !== true) throw new NothingToRollBack({ plugin: record.id });
    this.#swap(record, standby, reason);
    record.setAside = active?.instance.digest;
    if (active !== undefined) this.#retire(record, active, why === '' ? this.#standbyMs(active) : 0);
  }

  #endTrial(record: PluginRecord, canary: Generation, reason: string): void {
    this.#dropCanary(record);
    record.setAside = canary.instance.digest;
    this.#parts.lifecycle.note(record, reason);
    this.#parts.onSwap(record);
  }

  /** A version ended by itself. @returns false when nothing else serves and it has to be started again. */
  lost(record: PluginRecord, generation: Generation, how: string): boolean {
    const why = `version ${generation.manifest.version} ended by itself (${how})`;
    if (record.canary === generation) {
      this.#parts.log.warn('rolled back', { plugin: record.id, why });
      this.rollBack(record, why);
      return true;
    }
    if (record.active !== generation) {
      settle(record, generation);
      if (record.standby === generation) record.standby = undefined;
      return true;
    }
    record.active = undefined;
    record.slot.swap(undefined);
    // With a canary on trial there is no telling which of the others is better.
    if (record.canary !== undefined || record.standby === undefined) return false;
    this.#parts.log.warn('rolled back', { plugin: record.id, why });
    this.rollBack(record, why);
    record.setAside = generation.instance.digest;
    return true;
  }

  /** A version says that it does not serve: it is taken out if there is another that does. @returns whether there was. */
  replaceIll(record: PluginRecord, generation: Generation): boolean {
    const { ailment } = generation.instance.load.vitals;
    const isTrial = record.canary === generation;
    const isOtherWell = record.standby?.instance.load.vitals.isUnhealthy === false;
    const hasOther = record.active === generation && record.canary === undefined && isOtherWell;
    if (!isTrial && !hasOther) return false;
    const why = `version ${generation.manifest.version} does not serve (${ailment})`;
    this.#parts.log.warn('rolled back', { plugin: record.id, why });
    this.rollBack(record, why);
    return true;
  }

  /** Takes everything out of service and waits until it has stopped. */
  async end(record: PluginRecord): Promise<void> {
    this.#dropCanary(record);
    record.slot.swap(undefined);
    const { active } = record;
    record.active = undefined;
    if (active !== undefined) this.#retire(record, active, 0);
    record.standby = undefined;
    const retirements = record.leaving.flatMap(({ retirement }) => retirement ?? []);
    for (const retirement of retirements) retirement.expire();
    await Promise.all(retirements.map(({ done }) => done));
  }

  #swap(record: PluginRecord, next: Generation, reason: string): void {
    const { routes, lifecycle, onSwap } = this.#parts;
    settle(record, next);
    if (record.standby === next) record.standby = undefined;
    next.retirement = undefined;
    record.active = next;
    record.manifest = next.manifest;
    record.directory = next.directory;
    record.level = next.level;
    record.slot.limits = slotLimits(next.manifest);
    record.digest = next.instance.digest === '' ? undefined : next.instance.digest;
    record.givenUp = undefined;
    routes.open(record, next.services);
    record.slot.swap(next.instance);
    lifecycle.move(record, 'activate', reason);
    onSwap(record);
  }

  /** Ends the trial of a canary; `kept` goes on in another place. */
  #dropCanary(record: PluginRecord, kept?: Generation): void {
    const { canary } = record;
    record.slot.canary = undefined;
    record.canary = undefined;
    if (canary !== undefined && canary !== kept) this.#retire(record, canary, 0);
  }

  #retire(record: PluginRecord, generation: Generation, standbyMs: number): void {
    // It would keep the version before, which keeps the one before that, and so all there ever were.
    generation.instance.load.onFault = undefined;
    if (standbyMs > 0) {
      // One version back is kept, not two.
      record.standby?.retirement?.expire();
      record.standby = generation;
    }
    const retirement = new Retirement(generation.instance, {
      drainMs: drainLimitMs(generation.manifest),
      standbyMs,
      log: this.#parts.log,
      onStopping: () => {
        if (record.standby === generation) record.standby = undefined;
      },
    });
    generation.retirement = retirement;
    settle(record, generation);
    record.leaving = [...record.leaving, generation];
    void retirement.done.then(() => {
      // It may be in service again, or on its way out for the second time.
      if (generation.retirement !== retirement) return;
      settle(record, generation);
    });
  }

  #standbyMs(generation: Generation): number {
    const { rollbackWindowMs, hasMemoryFor, log } = this.#parts;
    if (rollbackWindowMs === 0 || hasMemoryFor(generation)) return rollbackWindowMs;
    log.warn('there is too little memory to keep the version before', {
      plugin: generation.manifest.id,
      version: generation.manifest.version,
    });
    return 0;
  }

  /** Takes a version out again when it fails more often than the one before it, as long as that one is there. */
  #watchFaults(record: PluginRecord, next: Generation, previous: Generation): void {
    const { load } = next.instance;
    const before = previous.instance.load.tally;
    load.onFault = () => {
      const isOnTrial = record.canary === next || (record.active === next && record.standby === previous);
      if (!isOnTrial) {
        load.onFault = undefined;
        return;
      }
      const { calls, faults } = load.tally;
      if (!isRegression(load.tally, baseline(before, previous.instance.load.tally))) return;
      load.onFault = undefined;
      const why = `${faults} of ${calls} calls to version ${next.manifest.version} failed`;
      this.#parts.log.warn('rolled back', { plugin: record.id, why });
      this.rollBack(record, why);
    };
  }
}

/** Takes a version out of those on their way out: it serves again, or is gone. */
function settle(record: PluginRecord, generation: Generation): void {
  record.leaving = record.leaving.filter((other) => other !== generation);
}

/** Calls that make the time since a trial began a fair comparison. */
const FAIR_CALLS = 20;

/** How well the version before does: beside a canary what it did meanwhile, since both see the same trouble. */
function baseline(before: Tally, now: Tally): Tally {
  const meanwhile = { calls: now.calls - before.calls, faults: now.faults - before.faults };
  return meanwhile.calls >= FAIR_CALLS ? meanwhile : now;
}
