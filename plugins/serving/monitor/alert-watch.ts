import type { Events, Logger } from 'lamella/sdk';
import type { Rule } from './alert-rules.ts';
import type { Sample } from './exposition.ts';

/** Topic on which alerts are published when a rule has the sink `event`. */
export const ALERT_TOPIC = 'serving.alerts';

/** Later than any alert, in milliseconds since the epoch. */
const LAST_TIME_MS = 10 ** 15 - 1;

/** A rule whose condition holds. */
export interface Alert {
  readonly rule: string;
  readonly value: number;
  readonly labels: Readonly<Record<string, string>>;
  /** Time since which the condition holds, milliseconds since the epoch. */
  readonly startMs: number;
}

/** What the watch tells others through. */
export interface AlertSinks {
  readonly log: Logger;
  readonly events: Pick<Events, 'publish'>;
}

/** What is remembered of one sample under one rule between two looks. */
interface Series {
  readonly value: number;
  readonly timeMs: number;
  readonly alert: Alert | undefined;
  readonly isFiring: boolean;
  readonly sinks: readonly string[];
}

/** Compares samples with rules; tells the sinks when an alert starts to fire and when it ends. */
export class AlertWatch {
  readonly #sinks: AlertSinks;
  #series: ReadonlyMap<string, Series> = new Map();

  constructor(sinks: AlertSinks) {
    this.#sinks = sinks;
  }

  /** Alerts that fire. */
  firing(): Alert[] {
    return [...this.#series.values()].flatMap(({ alert, isFiring }) =>
      alert !== undefined && isFiring ? [alert] : [],
    );
  }

  /** Looks at all rules once. An alert ends with its rule or its sample, too. */
  evaluate(rules: readonly Rule[], samples: readonly Sample[], nowMs: number): void {
    const next = new Map<string, Series>();
    const ended = new Map(this.#series);
    for (const rule of rules) {
      for (const sample of samples) {
        if (!isMeant(rule, sample)) continue;
        const key = JSON.stringify([rule, sample.labels]);
        const series = observe({ rule, sample, nowMs }, this.#series.get(key));
        this.#tell(ended.get(key), series);
        ended.delete(key);
        next.set(key, series);
      }
    }
    for (const series of ended.values()) {
      if (series.isFiring) this.#tell(series, { ...series, alert: undefined, isFiring: false });
    }
    this.#series = next;
  }

  #tell(before: Series | undefined, now: Series): void {
    const wasFiring = before?.isFiring === true;
    if (wasFiring === now.isFiring) return;
    const alert = now.alert ?? before?.alert;
    if (now.sinks.includes('event')) {
      this.#sinks.events
        .publish(ALERT_TOPIC, { ...alert, isFiring: now.isFiring })
        .catch((error: unknown) => this.#sinks.log.warn('An alert could not be published', { error }));
    }
    if (!now.sinks.includes('log')) return;
    if (now.isFiring) this.#sinks.log.warn('Alert fires', { ...alert });
    else this.#sinks.log.info('Alert ended', { ...alert });
  }
}

function isMeant(rule: Rule, { name, labels }: Sample): boolean {
  return (
    rule.metric === name && Object.entries(rule.labels).every(([label, value]) => labels[label] === value)
  );
}

interface Observation {
  readonly rule: Rule;
  readonly sample: Sample;
  readonly nowMs: number;
}

function observe({ rule, sample, nowMs }: Observation, before: Series | undefined): Series {
  const value = rule.isRate ? rateOf(sample.value, nowMs, before) : sample.value;
  const isOver = rule.comparison === 'above' ? value > rule.threshold : value < rule.threshold;
  const startMs = before?.alert?.startMs ?? nowMs;
  const alert = isOver ? { rule: rule.name, value, labels: sample.labels, startMs } : undefined;
  return {
    value: sample.value,
    timeMs: nowMs,
    alert,
    isFiring: isOver && nowMs - startMs >= rule.holdMs,
    sinks: rule.sinks,
  };
}

/** Increase a second; NaN (which is neither above nor below anything) before there are two looks or after a reset. */
function rateOf(value: number, nowMs: number, before: Series | undefined): number {
  if (before === undefined || nowMs <= before.timeMs || value < before.value) return Number.NaN;
  return ((value - before.value) * 1000) / (nowMs - before.timeMs);
}

/** Ascending order of this key is newest first. */
export function alertKey({ startMs, rule, labels }: Alert): string {
  return `${String(LAST_TIME_MS - startMs).padStart(15, '0')} ${rule} ${JSON.stringify(labels)}`;
}
