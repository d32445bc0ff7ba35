import type { Clock, Counter, Logger, Storage } from 'lamella/sdk';
import type { Alert } from '../alerts/alert.ts';
import type { LabelMatcher } from '../promql/label-matcher.ts';
import { only, signatureOf } from '../promql/labels.ts';
import { fits } from '../promql/parse-matchers.ts';
import { AlertGroup, type GroupTimes, type Told } from './alert-group.ts';
import { DeliveryProblem, type Notification, type Sink } from './notification.ts';

/** Pause after the first failure, in milliseconds; it doubles with each one. */
const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 600_000;

/** Longest pause that a receiver may ask for, in milliseconds. */
const LONGEST_WISH_MS = 3_600_000;

/** Who is told, of what, and how. */
export interface ReceiverOptions {
  /** Unique name. */
  readonly name: string;
  /** Alerts that the receiver is told of; empty for all. */
  readonly matchers: readonly LabelMatcher[];
  /** Labels whose values put alerts together. */
  readonly groupBy: readonly string[];
  readonly times: GroupTimes;
  /** Time that one attempt may take, in milliseconds. */
  readonly timeoutMs: number;
  readonly sink: Sink;
}

/** What {@link Receiver} works with. */
export interface ReceiverParts {
  readonly storage: Storage;
  readonly clock: Clock;
  readonly log: Logger;
  readonly signal: AbortSignal;
  /** Counts attempts that failed, by `receiver`. */
  readonly failures: Pick<Counter, 'add'>;
  /** Counts notifications that were taken, by `receiver`. */
  readonly deliveries: Pick<Counter, 'add'>;
}

/** How a receiver is doing. */
export interface ReceiverHealth {
  readonly name: string;
  /** What went wrong at the last attempt; empty when nothing did. */
  readonly problem: string;
  /** Attempts that failed in a row. */
  readonly failures: number;
}

/**
 * Tells one receiver what it does not know yet.
 *
 * @remarks There is no queue: what has to be told follows from the alerts that fire and from what the receiver was told,
 * which is kept on disk. So a receiver that is away costs nothing and learns the newest state when it is back, and a
 * restart repeats at most the notification that was under way, with the same id.
 */
export class Receiver {
  readonly #options: ReceiverOptions;
  readonly #parts: ReceiverParts;
  readonly #prefix: string;
  readonly #groups: Map<string, AlertGroup> = new Map();
  #sending: Promise<void> | undefined;
  #failures = 0;
  #problem = '';
  #retryMs = 0;
  #isGone = false;

  constructor(options: ReceiverOptions, parts: ReceiverParts) {
    this.#options = options;
    this.#parts = parts;
    this.#prefix = `told/${options.name}/`;
  }

  /** Reads what the receiver was told before a restart; call once before anything else. */
  async load(): Promise<void> {
    for await (const { value } of this.#parts.storage.range(this.#prefix)) this.#add(value as Told);
  }

  /** Whether it is told of alerts with these labels. */
  takes(labels: Alert['labels']): boolean {
    return fits(this.#options.matchers, labels);
  }

  /** How the receiver is doing. */
  health(): ReceiverHealth {
    return { name: this.#options.name, problem: this.#problem, failures: this.#failures };
  }

  /**
   * Takes in the present and begins to tell it. Never waits for the receiver.
   *
   * @param open Firing alerts that are neither silenced nor held back.
   * @param firing All firing alerts.
   */
  update(open: readonly Alert[], firing: readonly Alert[]): void {
    const nowMs = this.#parts.clock.now();
    const firingIds = new Set(firing.map(({ id }) => id));
    const members = new Map<string, Alert[]>();
    for (const alert of open) {
      if (!this.takes(alert.labels)) continue;
      const labels = only(alert.labels, this.#options.groupBy);
      const key = signatureOf(labels);
      if (!this.#groups.has(key)) this.#add({ labels, firing: [], timeMs: 0, count: 0 });
      members.set(key, [...(members.get(key) ?? []), alert]);
    }
    for (const [key, group] of this.#groups) {
      group.update(members.get(key) ?? [], (id) => firingIds.has(id), nowMs);
    }
    if (this.#isGone || nowMs < this.#retryMs) return;
    this.#sending ??= this.#send().finally(() => {
      this.#sending = undefined;
    });
  }

  /** Resolves when no attempt is under way. */
  async idle(): Promise<void> {
    await this.#sending;
  }

  #add(told: Told): void {
    this.#groups.set(signatureOf(told.labels), new AlertGroup(this.#options.name, told, this.#options.times));
  }

  /** One after the other: whoever is slow is not hurried. */
  async #send(): Promise<void> {
    for (const [key, group] of this.#groups) {
      const nowMs = this.#parts.clock.now();
      const notification = group.due(nowMs);
      if (notification === undefined) {
        if (group.isEmpty) await this.#forget(key, group);
        continue;
      }
      const told = group.toldAfter(nowMs);
      if (notification.alerts.length > 0 && !(await this.#attempt(notification))) return;
      group.remember(told);
      await this.#keep(group);
    }
  }

  async #attempt(notification: Notification): Promise<boolean> {
    const { name, sink, timeoutMs } = this.#options;
    const { deliveries, signal } = this.#parts;
    try {
      await sink.send(notification, AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]));
      if (this.#failures > 0) this.#parts.log.info('a receiver takes alerts again', { receiver: name });
      this.#failures = 0;
      this.#problem = '';
      deliveries.add(1, { receiver: name });
      return true;
    } catch (error) {
      if (!signal.aborted) this.#onFailure(error);
      return false;
    }
  }

  #onFailure(error: unknown): void {
    const { clock, failures, log } = this.#parts;
    const receiver = this.#options.name;
    const { retryAfterMs = 0, isFinal = false } = error instanceof DeliveryProblem ? error : {};
    const problem = error instanceof Error ? error.message : String(error);
    failures.add(1, { receiver });
    const pauseMs = Math.min(FIRST_PAUSE_MS * 2 ** this.#failures, LONGEST_PAUSE_MS);
    // Jitter: many nodes must not come back at the same moment.
    const waitMs = Math.max(pauseMs * (0.5 + Math.random() / 2), Math.min(retryAfterMs, LONGEST_WISH_MS));
    this.#failures += 1;
    this.#retryMs = clock.now() + waitMs;
    this.#isGone = isFinal;
    const isNews = problem !== this.#problem;
    this.#problem = problem;
    if (isFinal)
      log.error('a receiver wants no alerts any more; reload serving.monitor to try again', {
        receiver,
        error,
      });
    else if (isNews) log.warn('a receiver did not take an alert; it is sent again', { receiver, error });
  }

  async #forget(key: string, group: AlertGroup): Promise<void> {
    if (group.told.count > 0) await this.#delete(group);
    this.#groups.delete(key);
  }

  async #keep(group: AlertGroup): Promise<void> {
    try {
      await this.#parts.storage.put(this.#prefix + group.key, group.told);
    } catch (error) {
      this.#parts.log.error('what a receiver was told could not be kept; it may be told again', { error });
    }
  }

  async #delete(group: AlertGroup): Promise<void> {
    try {
      await this.#parts.storage.delete(this.#prefix + group.key);
    } catch (error) {
      this.#parts.log.error('what a receiver was told could not be removed', { error });
    }
  }
}
