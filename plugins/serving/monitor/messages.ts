import type { MessageInitShape } from '@bufbuild/protobuf';
import { durationFromMs, timestampFromMs, timestampMs } from '@bufbuild/protobuf/wkt';
import {
  type AlertRuleSchema,
  type AlertSchema,
  AlertState,
  type RuleFileSchema,
  type Silence as SilenceMessage,
  type SilenceSchema,
} from 'lamella/proto/lamella/serving/v1/monitor_service';
import type { Alert } from './alerts/alert.ts';
import type { RuleHealth } from './alerts/rule-watch.ts';
import type { Silence } from './alerts/silences.ts';
import { MonitorRequestInvalid } from './errors.ts';
import type { MutedAlert } from './monitor.ts';
import type { Rule, RuleFile } from './rules/rule.ts';
import { DEFAULT_FILE_NAME } from './rules/rule-book.ts';

/** Later than any alert, in milliseconds since the epoch. */
const LAST_TIME_MS = 10 ** 15 - 1;

/** Ascending order of this key is firing first, then newest first. */
export function alertKey({ alert }: MutedAlert): string {
  const rank = alert.state === 'firing' ? 0 : 1;
  return `${rank} ${String(LAST_TIME_MS - alert.activeMs).padStart(15, '0')} ${alert.id}`;
}

/** The message of an alert. */
export function alertToProto({
  alert,
  silences,
  inhibitedBy,
}: MutedAlert): MessageInitShape<typeof AlertSchema> {
  const { id, ruleId, labels, annotations, value, state, activeMs, firedMs } = alert;
  return {
    id,
    rule: ruleId,
    state: state === 'firing' ? AlertState.FIRING : AlertState.PENDING,
    value,
    labels: { ...labels },
    annotations: { ...annotations },
    activeTime: timestampFromMs(activeMs),
    ...(state === 'firing' ? { startTime: timestampFromMs(firedMs) } : {}),
    silences: [...silences],
    inhibitedBy: inhibitedBy ?? '',
  };
}

/** What is known of a rule beside what its file says. */
export interface RuleStatus {
  readonly alerts: readonly Alert[];
  readonly health: RuleHealth | undefined;
}

/** The message of a rule. */
export function ruleToProto(
  group: string,
  rule: Rule,
  { alerts, health }: RuleStatus,
): MessageInitShape<typeof AlertRuleSchema> {
  const own = alerts.filter(({ ruleId }) => ruleId === rule.id);
  return {
    name: rule.id,
    alert: rule.name,
    group,
    expression: rule.text,
    for: durationFromMs(rule.forMs),
    keepFiringFor: durationFromMs(rule.keepFiringForMs),
    state: stateOf(own),
    problem: health?.problem ?? '',
    ...(health === undefined
      ? {}
      : {
          evaluateTime: timestampFromMs(health.timeMs),
          evaluateDuration: { nanos: Math.round(health.durationMs * 1e6) },
        }),
  };
}

function stateOf(alerts: readonly Alert[]): AlertState {
  if (alerts.length === 0) return AlertState.INACTIVE;
  return alerts.some(({ state }) => state === 'firing') ? AlertState.FIRING : AlertState.PENDING;
}

/** The message of a rule file. */
export function ruleFileToProto({ name, text }: RuleFile): MessageInitShape<typeof RuleFileSchema> {
  return { name, text, readOnly: name === DEFAULT_FILE_NAME };
}

/** The message of a silence. */
export function silenceToProto(silence: Silence): MessageInitShape<typeof SilenceSchema> {
  const { name, matchers, startMs, endMs, creator, comment } = silence;
  return {
    name,
    matchers,
    startTime: timestampFromMs(startMs),
    endTime: timestampFromMs(endMs),
    creator,
    comment,
  };
}

/** @throws MONITOR_REQUEST_INVALID */
export function silenceFromProto(silence: SilenceMessage | undefined, nowMs: number): Omit<Silence, 'name'> {
  const { startTime, endTime, matchers = '', creator = '', comment = '' } = silence ?? {};
  if (endTime === undefined) {
    throw new MonitorRequestInvalid({ field: 'silence.end_time', problem: 'it is missing' });
  }
  const startMs = startTime === undefined ? nowMs : timestampMs(startTime);
  return { matchers, startMs, endMs: timestampMs(endTime), creator, comment };
}
