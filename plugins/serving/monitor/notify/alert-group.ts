import { createHash } from 'node:crypto';
import type { Alert } from '../alerts/alert.ts';
import { type SeriesLabels, signatureOf } from '../promql/labels.ts';
import type { Notification, NotifiedAlert } from './notification.ts';

/** Alerts in one notification at the most. */
const MAX_ALERTS = 100;

/** When a group is told. */
export interface GroupTimes {
  /** Time that a new group waits for further alerts, in milliseconds. */
  readonly groupWaitMs: number;
  /** Time between two notifications about changes, in milliseconds. */
  readonly groupIntervalMs: number;
  /** Time after which alerts that still fire are told again, in milliseconds; 0 for never. */
  readonly repeatIntervalMs: number;
  /** Whether the end of alerts is told. */
  readonly sendsResolved: boolean;
}

/** What a receiver was told of a group, as it is kept on disk. */
export interface Told {
  /** Labels by which alerts are put together. */
  readonly labels: SeriesLabels;
  /** Alerts that the receiver takes for firing, by id. */
  readonly firing: readonly NotifiedAlert[];
  /** Time of the last notification, milliseconds since the epoch. */
  readonly timeMs: number;
  /** Number of notifications so far. */
  readonly count: number;
}

/** Alerts of one receiver that belong together: what it knows of them, and what there is to tell. */
export class AlertGroup {
  readonly receiver: string;
  readonly labels: SeriesLabels;
  readonly #times: GroupTimes;
  #told: Told;
  /** Firing alerts about which the receiver may be told. */
  #open: ReadonlyMap<string, Alert> = new Map();
  /** What the receiver takes for firing and is not any more. */
  #ended: readonly NotifiedAlert[] = [];
  #firstSeenMs: number | undefined;

  constructor(receiver: string, told: Told, times: GroupTimes) {
    this.receiver = receiver;
    this.labels = told.labels;
    this.#told = told;
    this.#times = times;
  }

  /** Key under which {@link AlertGroup.told} is kept. */
  get key(): string {
    return createHash('sha256').update(signatureOf(this.labels)).digest('base64url').slice(0, 22);
  }

  /** Whether there is nothing to tell and nothing that was told. */
  get isEmpty(): boolean {
    return this.#open.size === 0 && this.#told.firing.length === 0;
  }

  /** What the receiver was told last. */
  get told(): Told {
    return this.#told;
  }

  /**
   * Takes in the present.
   *
   * @param open Firing alerts of this group that are neither silenced nor held back.
   * @param isFiring Whether an alert fires at all; one that is only silenced has not ended.
   */
  update(open: readonly Alert[], isFiring: (id: string) => boolean, nowMs: number): void {
    this.#open = new Map(open.map((alert) => [alert.id, alert]));
    const ended = this.#told.firing.filter(({ id }) => !isFiring(id));
    const known = new Map(this.#ended.map((alert) => [alert.id, alert]));
    this.#ended = ended.map((alert) => known.get(alert.id) ?? { ...alert, isFiring: false, endMs: nowMs });
    this.#firstSeenMs = this.#open.size === 0 ? undefined : (this.#firstSeenMs ?? nowMs);
  }

  /** What has to be told now, if anything; without alerts when the receiver does not want to know of their end. */
  due(nowMs: number): Notification | undefined {
    if (!this.#isDue(nowMs)) return undefined;
    const ended = this.#times.sendsResolved ? this.#ended : [];
    const alerts = [...[...this.#open.values()].map(notified), ...ended];
    const identity = [
      this.receiver,
      this.labels,
      this.#told.count,
      alerts.map(({ id, isFiring }) => [id, isFiring]),
    ];
    return {
      id: `msg_${createHash('sha256').update(JSON.stringify(identity)).digest('base64url').slice(0, 27)}`,
      receiver: this.receiver,
      groupLabels: this.labels,
      timeMs: nowMs,
      alerts: alerts.slice(0, MAX_ALERTS),
      leftOut: Math.max(0, alerts.length - MAX_ALERTS),
    };
  }

  /** What the receiver knows once it has taken what is told now. */
  toldAfter(nowMs: number): Told {
    const open = [...this.#open.values()].map(notified);
    const ended = new Set(this.#ended.map(({ id }) => id));
    // What is silenced now was told before and still fires.
    const silenced = this.#told.firing.filter(({ id }) => !ended.has(id) && !this.#open.has(id));
    return {
      labels: this.labels,
      firing: [...open, ...silenced],
      timeMs: nowMs,
      count: this.#told.count + 1,
    };
  }

  /** Remembers what the receiver has been told. */
  remember(told: Told): void {
    this.#told = told;
    const firing = new Set(told.firing.map(({ id }) => id));
    this.#ended = this.#ended.filter(({ id }) => firing.has(id));
  }

  #isDue(nowMs: number): boolean {
    const { firing, timeMs } = this.#told;
    const { groupWaitMs, groupIntervalMs, repeatIntervalMs } = this.#times;
    const known = new Set(firing.map(({ id }) => id));
    const hasNew = [...this.#open.keys()].some((id) => !known.has(id));
    if (firing.length === 0) return hasNew && nowMs - (this.#firstSeenMs ?? nowMs) >= groupWaitMs;
    const sinceMs = nowMs - timeMs;
    // A clock that was set back must not hold anything back.
    if (hasNew || this.#ended.length > 0) return sinceMs >= groupIntervalMs || sinceMs < 0;
    return this.#open.size > 0 && repeatIntervalMs > 0 && sinceMs >= repeatIntervalMs;
  }
}

function notified({ id, labels, annotations, value, firedMs }: Alert): NotifiedAlert {
  return { id, labels, annotations, value, isFiring: true, startMs: firedMs, endMs: 0 };
}
