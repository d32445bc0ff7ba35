import type { Clock, Logger } from '../../sdk/index.ts';
import { type PluginEvent, type PluginState, transition } from '../registry/state.ts';
import type { Version } from './generation.ts';
import type { PluginHistory } from './history.ts';
import type { PluginRecord } from './record.ts';

/** One change of state. */
export interface StateChange {
  readonly record: PluginRecord;
  readonly previous: PluginState;
}

/** States in which a call may wait for a plugin that has no instance. */
const MAY_BECOME_READY: ReadonlySet<PluginState> = new Set([
  'DISCOVERED',
  'VERIFIED',
  'RESOLVED',
  'STARTING',
  'STANDBY',
  'ACTIVE',
  'DEGRADED',
  'BACKOFF',
]);

/** States that an operator should hear of. */
const BAD: ReadonlySet<PluginState> = new Set(['FAILED', 'DEGRADED', 'BACKOFF', 'QUARANTINED']);

/** A plugin whose manifest was read. */
export type DiscoveredPlugin = Version & Pick<PluginRecord, 'slot'>;

/** Input of {@link Lifecycle}. */
export interface LifecycleParts {
  readonly clock: Clock;
  readonly log: Logger;
  readonly history: PluginHistory;
  readonly onChange: (change: StateChange) => void;
}

/** Moves plugins through the life-cycle table; every change is logged, kept and told to those who watch. */
export class Lifecycle {
  readonly #parts: LifecycleParts;
  readonly #watchers: Set<(change: StateChange) => void> = new Set();
  readonly #followers: ((change: StateChange) => void)[] = [];

  constructor(parts: LifecycleParts) {
    this.#parts = parts;
  }

  nowMs(): number {
    return this.#parts.clock.now();
  }

  /** Makes the record of a plugin whose manifest was read and whose dependencies resolve. */
  discover(plugin: DiscoveredPlugin): PluginRecord {
    const record = this.#record(plugin);
    this.move(record, 'verify');
    this.move(record, 'resolve');
    return record;
  }

  /** Makes the record of a plugin that may not run. */
  quarantine(plugin: DiscoveredPlugin, reason: string): PluginRecord {
    const record = this.#record(plugin);
    this.move(record, 'quarantine', reason);
    return record;
  }

  #record(plugin: DiscoveredPlugin): PluginRecord {
    const { manifest, directory, level, digest, slot } = plugin;
    return {
      manifest,
      directory,
      level,
      digest,
      slot,
      asked: directory,
      setAside: undefined,
      givenUp: undefined,
      isUnloading: false,
      id: manifest.id,
      state: 'DISCOVERED',
      reason: '',
      restarts: 0,
      updatedMs: this.nowMs(),
      generations: 0,
      active: undefined,
      canary: undefined,
      standby: undefined,
      leaving: [],
      crashesMs: [],
    };
  }

  /** @throws ILLEGAL_TRANSITION; that is a bug of the kernel, never of a plugin. */
  move(record: PluginRecord, event: PluginEvent, reason = ''): void {
    const previous = record.state;
    record.state = transition(previous, event);
    record.reason = reason;
    this.#publish(record, previous);
  }

  /** Changes only what people are told about a plugin. */
  note(record: PluginRecord, reason: string): void {
    record.reason = reason;
    this.#publish(record, record.state);
  }

  /** The record is gone; watchers hear it once more. */
  remove(record: PluginRecord): void {
    this.move(record, 'remove');
  }

  #publish(record: PluginRecord, previous: PluginState): void {
    const { log, history, onChange } = this.#parts;
    const { id, state, reason, manifest } = record;
    record.updatedMs = this.nowMs();
    record.slot.setCondition({ state, reason, mayBecomeReady: MAY_BECOME_READY.has(state) });
    const isBad = BAD.has(state);
    log[isBad ? 'warn' : 'debug']('plugin state', { plugin: id, state, previous, reason });
    history.add(id, { state, reason, version: manifest.version, atMs: record.updatedMs });
    const change = { record, previous };
    onChange(change);
    for (const watcher of this.#watchers) watcher(change);
    // Last, since what follows from a change is a change itself.
    for (const follower of this.#followers) follower(change);
  }

  /** Calls a part of the kernel after each change, for good. */
  follow(follower: (change: StateChange) => void): void {
    this.#followers.push(follower);
  }

  /**
   * What is told of each change from now on, until the signal.
   *
   * @param tell - Asked when the change happens, for a record goes on changing while its reader is slow.
   * @param first - Told before all changes.
   */
  async *watch<Told>(
    signal: AbortSignal,
    tell: (change: StateChange) => Told,
    first: () => readonly Told[] = () => [],
  ): AsyncGenerator<Told> {
    const queue: Told[] = [...first()];
    let wake: () => void = () => undefined;
    const watcher = (change: StateChange): void => {
      queue.push(tell(change));
      wake();
    };
    const onAbort = (): void => wake();
    this.#watchers.add(watcher);
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      while (!signal.aborted) {
        const next = queue.shift();
        if (next !== undefined) {
          yield next;
          continue;
        }
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    } finally {
      this.#watchers.delete(watcher);
      signal.removeEventListener('abort', onAbort);
    }
  }
}
