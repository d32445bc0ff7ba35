import { type Timestamp, timestampDate } from '@bufbuild/protobuf/wkt';
import Table from 'cli-table3';
import {
  type Alert,
  AlertState,
  type Silence,
} from '../../../proto/gen/lamella/serving/v1/monitor_service_pb.ts';
import { PLAIN, tableText } from '../plugin-table.ts';

/** An alert as it is printed. */
export interface AlertRow {
  readonly name: string;
  readonly state: 'pending' | 'firing';
  readonly since: string;
  readonly value: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly silences: readonly string[];
  /** Id of the alert that holds it back; empty when none does. */
  readonly inhibitedBy: string;
}

/** An alert for people and scripts. */
export function alertRow(alert: Alert): AlertRow {
  const { labels, annotations, value, silences, inhibitedBy } = alert;
  const isFiring = alert.state === AlertState.FIRING;
  return {
    name: labels['alertname'] ?? '',
    state: isFiring ? 'firing' : 'pending',
    since: textOf(isFiring ? alert.startTime : alert.activeTime),
    value,
    labels,
    annotations,
    silences,
    inhibitedBy,
  };
}

/** Alerts as a table. */
export function alertTable(rows: readonly AlertRow[]): string {
  const table = plainTable(['STATE', 'ALERT', 'SEVERITY', 'SINCE', 'SUMMARY']);
  for (const row of rows) {
    const isMuted = row.silences.length > 0 || row.inhibitedBy !== '';
    const state = isMuted ? `${row.state}, told to nobody` : row.state;
    const summary = row.annotations['summary'] ?? '';
    table.push([state, row.name, row.labels['severity'] ?? '', row.since, summary]);
  }
  return tableText(table);
}

/** A silence as it is printed. */
export interface SilenceRow {
  readonly name: string;
  readonly matchers: string;
  readonly from: string;
  readonly until: string;
  readonly creator: string;
  readonly comment: string;
}

/** A silence for people and scripts. */
export function silenceRow({ name, matchers, startTime, endTime, creator, comment }: Silence): SilenceRow {
  return { name, matchers, from: textOf(startTime), until: textOf(endTime), creator, comment };
}

/** Silences as a table. */
export function silenceTable(rows: readonly SilenceRow[]): string {
  const table = plainTable(['SILENCE', 'ALERTS', 'UNTIL', 'COMMENT']);
  for (const row of rows) table.push([row.name, row.matchers, row.until, row.comment]);
  return tableText(table);
}

function plainTable(head: string[]): Table.Table {
  return new Table({ head, chars: PLAIN, style: { head: [], 'padding-left': 0 } });
}

function textOf(time: Timestamp | undefined): string {
  return time === undefined ? '' : timestampDate(time).toISOString();
}
