import { createHash } from 'node:crypto';
import { type SeriesLabels, signatureOf, sortedLabels } from '../promql/labels.ts';

/** Where an alert is in its life. */
export type AlertState = 'pending' | 'firing';

/** A rule that gives something, for one set of labels. */
export interface Alert {
  /** Unique and always the same for one rule and one set of labels. */
  readonly id: string;
  /** {@link Rule.id} */
  readonly ruleId: string;
  /** Labels of the series and of the rule; `alertname` is the rule's name. */
  readonly labels: SeriesLabels;
  readonly annotations: Readonly<Record<string, string>>;
  readonly value: number;
  readonly state: AlertState;
  /** Time since which the rule gives something, milliseconds since the epoch. */
  readonly activeMs: number;
  /** Time since which the alert fires; 0 while it is pending. */
  readonly firedMs: number;
  /** Newest time at which the rule gave something. */
  readonly seenMs: number;
}

/** Id of the alert that a rule has for some labels. */
export function alertIdOf(ruleId: string, labels: SeriesLabels): string {
  return createHash('sha256')
    .update(`${ruleId}\n${signatureOf(labels)}`)
    .digest('base64url')
    .slice(0, 22);
}

/** Labels of an alert: those of the series without the metric's name, then those of the rule. */
export function alertLabels(
  name: string,
  series: Iterable<readonly [string, string]>,
  own: Iterable<readonly [string, string]>,
): SeriesLabels {
  return sortedLabels(new Map([...series, ...own, ['alertname', name]]));
}
