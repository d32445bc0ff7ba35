import { type Timestamp, timestampFromMs, timestampMs } from '@bufbuild/protobuf/wkt';
import {
  AlertState,
  type ModelDrift,
  type MonitorService,
} from 'lamella/proto/lamella/serving/v1/monitor_service';
import type { CallOptions, Client } from 'lamella/sdk';
import { ConsoleRequestInvalid } from './errors.ts';
import { readJsonObject } from './json-http.ts';

/** How far back the charts go, and the distance of their points. */
const RANGE = { seconds: 300n };
const STEP = { seconds: 10n };

const MAX_ALERTS = 100;
const MAX_FEATURES = 20;
const MAX_MINUTES = 7 * 24 * 60;

/** What each chart shows, one line by its label. */
const CHARTS: Readonly<Record<string, string>> = {
  requests: 'sum by (model) (rate(nv_inference_request_success[1m]))',
  failures: 'sum by (model) (rate(nv_inference_request_failure[1m]))',
  latency:
    'histogram_quantile(0.99, sum by (model, le) (rate(lamella_inference_request_seconds_bucket[1m])))',
  waiting: 'sum by (model) (nv_inference_pending_request_count)',
};

type Monitor = Client<typeof MonitorService>;

/** An alert as the page shows it. */
export interface AlertView {
  readonly id: string;
  readonly name: string;
  readonly isFiring: boolean;
  readonly severity: string;
  readonly summary: string;
  readonly description: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Time since which the rule gives something, milliseconds since the epoch. */
  readonly activeMs: number;
  readonly silences: readonly string[];
}

/** One line of a chart: a model and its points, time in milliseconds since the epoch and value. */
export interface LineView {
  readonly model: string;
  readonly points: readonly (readonly [number, number])[];
}

/** A feature of a model and how far it is from the training data. */
export interface DriftView {
  readonly model: string;
  readonly feature: string;
  readonly stabilityIndex: number;
  readonly isDrifted: boolean;
  /** Time since which it has drifted, milliseconds since the epoch; 0 when it has not. */
  readonly sinceMs: number;
}

/** All that the monitor page shows. */
export interface MonitorView {
  readonly alerts: readonly AlertView[];
  readonly charts: Readonly<Record<string, readonly LineView[]>>;
  /** Receivers that did not take the last message. */
  readonly troubled: readonly string[];
  /** Features of watched models, those furthest from the training data first. */
  readonly drift: readonly DriftView[];
  /** Why watched models are not compared, by model. */
  readonly driftProblems: Readonly<Record<string, string>>;
}

/** The present state of alerts and models. */
export async function showMonitor(monitor: Monitor, options: CallOptions): Promise<MonitorView> {
  const [{ alerts }, { receivers }, { models }, ...lines] = await Promise.all([
    monitor.listAlerts({ pageSize: MAX_ALERTS }, options),
    monitor.listReceivers({}, options),
    monitor.listDrift({}, options),
    ...Object.values(CHARTS).map((expression) => linesOf(monitor, expression, options)),
  ]);
  return {
    alerts: alerts.map(({ id, state, labels, annotations, activeTime, silences }) => ({
      id,
      name: labels['alertname'] ?? '',
      isFiring: state === AlertState.FIRING,
      severity: labels['severity'] ?? '',
      summary: annotations['summary'] ?? '',
      description: annotations['description'] ?? '',
      labels,
      activeMs: msOf(activeTime),
      silences,
    })),
    charts: Object.fromEntries(Object.keys(CHARTS).map((name, index) => [name, lines[index] ?? []])),
    troubled: receivers.filter(({ failures }) => failures > 0).map(({ name }) => name),
    drift: models.flatMap(driftOf).toSorted(furthestFirst).slice(0, MAX_FEATURES),
    driftProblems: Object.fromEntries(
      models.filter(({ problem }) => problem !== '').map(({ model, problem }) => [model, problem]),
    ),
  };
}

function driftOf({ model, problem, features }: ModelDrift): DriftView[] {
  if (problem !== '') return [];
  return features.map(({ feature, stabilityIndex, drifted, driftStartTime }) => ({
    model,
    feature,
    stabilityIndex,
    isDrifted: drifted,
    sinceMs: msOf(driftStartTime),
  }));
}

function furthestFirst(one: DriftView, other: DriftView): number {
  return other.stabilityIndex - one.stabilityIndex;
}

async function linesOf(monitor: Monitor, expression: string, options: CallOptions): Promise<LineView[]> {
  const { series } = await monitor.queryMetrics({ expression, range: RANGE, step: STEP }, options);
  return series.map(({ labels, points }) => ({
    model: labels['model'] ?? '',
    // JSON has neither infinity nor NaN.
    points: points
      .filter(({ value }) => Number.isFinite(value))
      .map(({ time, value }) => [msOf(time), value] as const),
  }));
}

function msOf(time: Timestamp | undefined): number {
  return time === undefined ? 0 : timestampMs(time);
}

/** Silences the alerts with exactly these labels for some minutes; tells the name of the silence. */
export async function silenceAlerts(
  monitor: Monitor,
  request: Request,
  options: CallOptions,
): Promise<string> {
  const { labels, minutes } = await readJsonObject(request);
  if (typeof labels !== 'object' || labels === null || Array.isArray(labels)) {
    throw new ConsoleRequestInvalid({ problem: 'labels is an object of names and texts' });
  }
  if (typeof minutes !== 'number' || !(minutes >= 1 && minutes <= MAX_MINUTES)) {
    throw new ConsoleRequestInvalid({ problem: `minutes is a number from 1 to ${MAX_MINUTES}` });
  }
  const matchers = Object.entries(labels).map(([name, value]) => `${name}=${JSON.stringify(value)}`);
  const { silence } = await monitor.createSilence(
    {
      silence: {
        matchers: `{${matchers.join(', ')}}`,
        endTime: timestampFromMs(Date.now() + Math.round(minutes) * 60_000),
        creator: 'console',
      },
    },
    options,
  );
  return silence?.name ?? '';
}

/** Ends a silence. */
export async function endSilence(monitor: Monitor, request: Request, options: CallOptions): Promise<void> {
  const { name } = await readJsonObject(request);
  if (typeof name !== 'string') throw new ConsoleRequestInvalid({ problem: 'name is a text' });
  await monitor.deleteSilence({ name }, options);
}
