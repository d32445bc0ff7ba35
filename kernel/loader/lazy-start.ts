import { Activation, type Manifest } from '../../proto/gen/lamella/kernel/v1/manifest_pb.ts';
import { backoffMs, isGivenUp, recentCrashes } from '../registry/backoff.ts';
import type { Lifecycle } from './lifecycle.ts';
import { shippedServices } from './proto/shipped-services.ts';
import type { PluginRecord } from './record.ts';
import type { Routes } from './routes.ts';

/** What lazy plugins need of the kernel's events. */
export interface ActivationEvents {
  /** Keeps events for a plugin that is not started yet; `onEvent` is told of each. */
  hold(pluginId: string, topics: readonly string[], onEvent: () => void): void;
  release(pluginId: string): void;
}

/** Input of {@link LazyStart}. */
export interface LazyStartParts {
  readonly lifecycle: Lifecycle;
  readonly routes: Routes;
  readonly events: ActivationEvents;
  /** Starts a plugin that rests; it is FAILED when that rejects. */
  readonly start: (record: PluginRecord) => Promise<void>;
}

/** Lets plugins rest until the first call or event, and starts them then: once, however many come. */
export class LazyStart {
  readonly #parts: LazyStartParts;
  /** Plugins that are being started. */
  readonly #waking: Set<PluginRecord> = new Set();
  /** The end of the pause after a failed start. */
  readonly #timers: Map<PluginRecord, NodeJS.Timeout> = new Map();

  constructor(parts: LazyStartParts) {
    this.#parts = parts;
  }

  /**
   * A plugin waits for its first call or event from now on. What it serves can be seen and called.
   *
   * @throws PROTO_TEXT_INVALID, SERVICE_UNDESCRIBED
   */
  async rest(record: PluginRecord): Promise<void> {
    const { routes, lifecycle } = this.#parts;
    const { manifest, directory } = record;
    try {
      routes.open(record, await shippedServices(manifest, directory));
    } catch (error) {
      lifecycle.move(record, 'fail', (error as Error).message);
      throw error;
    }
    this.#wait(record, '');
  }

  /** Nothing is started any more. */
  stop(): void {
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
  }

  /** A plugin has left the kernel. */
  forget(record: PluginRecord): void {
    clearTimeout(this.#timers.get(record));
    this.#timers.delete(record);
    record.slot.wake = undefined;
    this.#parts.events.release(record.id);
  }

  #wait(record: PluginRecord, failure: string): void {
    const { lifecycle, events } = this.#parts;
    const { manifest, id, slot } = record;
    const wake = (): void => this.#wake(record);
    slot.wake = wake;
    const waits = `waiting for ${whatStarts(manifest)}`;
    const reason = failure === '' ? waits : `${waits}; its last start failed: ${failure}`;
    if (record.state === 'RESOLVED') lifecycle.note(record, reason);
    else lifecycle.move(record, 'resolve', reason);
    if (manifest.activationTopics.length > 0) events.hold(id, manifest.activationTopics, wake);
  }

  #wake(record: PluginRecord): void {
    if (this.#waking.has(record)) return;
    this.#waking.add(record);
    void this.#start(record);
  }

  async #start(record: PluginRecord): Promise<void> {
    const { lifecycle, start } = this.#parts;
    const nowMs = lifecycle.nowMs();
    const failures = recentCrashes([...record.crashesMs, nowMs], nowMs);
    const pauseMs = backoffMs(failures, nowMs);
    // Told to the calls that wait, should the start fail.
    record.slot.retryAfterMs = pauseMs;
    try {
      await start(record);
    } catch (error) {
      record.crashesMs = failures;
      if (!isGivenUp(failures, nowMs)) this.#waitAfter(record, pauseMs, (error as Error).message);
    } finally {
      this.#waking.delete(record);
    }
  }

  #waitAfter(record: PluginRecord, pauseMs: number, failure: string): void {
    const timer = setTimeout(() => {
      this.#timers.delete(record);
      // Somebody may have loaded another version meanwhile, or unloaded it.
      if (record.state === 'FAILED') this.#wait(record, failure);
    }, pauseMs);
    this.#timers.set(record, timer);
  }
}

function whatStarts({ activation, provides }: Manifest): string {
  if (activation === Activation.ON_CALL) return 'a call';
  return provides.length === 0 ? 'an event' : 'an event or a call';
}
