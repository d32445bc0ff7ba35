import type { MessageInitShape } from '@bufbuild/protobuf';
import { durationFromMs, durationMs, timestampFromMs } from '@bufbuild/protobuf/wkt';
import { type Metrics, type ServiceImplementation, pageOf } from 'lamella/sdk';
import {
  type AlertRule,
  type AlertRuleSchema,
  type AlertSchema,
  Comparison,
  type MonitorService,
} from 'lamella/proto/lamella/serving/v1/monitor_service';
import type { AlertRules, Rule } from './alert-rules.ts';
import { type Alert, alertKey, type AlertWatch } from './alert-watch.ts';
import { AccessLogUnavailable, AlertRuleInvalid } from './errors.ts';

/** What the service works with. */
export interface MonitorParts {
  readonly metrics: Pick<Metrics, 'exposition'>;
  readonly rules: AlertRules;
  readonly watch: AlertWatch;
}

/** The service over its parts. */
export function monitorService({
  metrics,
  rules,
  watch,
}: MonitorParts): ServiceImplementation<typeof MonitorService> {
  return {
    getMetrics: async () => ({ text: await metrics.exposition() }),
    // oxlint-disable-next-line require-yield -- refused until calls are published one by one
    async *watchAccessLog() {
      throw new AccessLogUnavailable({});
    },
    listAlertRules: async (request) => {
      const { items, nextPageToken } = pageOf(await rules.list(), ({ name }) => name, request);
      return { rules: items.map(ruleToProto), nextPageToken };
    },
    setAlertRule: async ({ rule: sent }) => {
      const rule = ruleFromProto(sent);
      await rules.set(rule);
      return { rule: ruleToProto(rule) };
    },
    deleteAlertRule: async ({ name }) => {
      await rules.delete(name);
      return {};
    },
    listAlerts: (request) => {
      const { items, nextPageToken } = pageOf(watch.firing(), alertKey, request);
      return { alerts: items.map(alertToProto), nextPageToken };
    },
  };
}

/** @throws ALERT_RULE_INVALID */
function ruleFromProto(rule: AlertRule | undefined): Rule {
  if (rule === undefined) throw new AlertRuleInvalid({ field: 'rule', problem: 'it is missing' });
  if (rule.comparison !== Comparison.ABOVE && rule.comparison !== Comparison.BELOW) {
    throw new AlertRuleInvalid({ field: 'comparison', problem: 'it must be ABOVE or BELOW' });
  }
  return {
    name: rule.name,
    metric: rule.metric,
    labels: { ...rule.labels },
    isRate: rule.rate,
    comparison: rule.comparison === Comparison.ABOVE ? 'above' : 'below',
    threshold: rule.threshold,
    holdMs: rule.hold === undefined ? 0 : durationMs(rule.hold),
    sinks: [...new Set(rule.sinks)],
  };
}

function ruleToProto(rule: Rule): MessageInitShape<typeof AlertRuleSchema> {
  return {
    name: rule.name,
    metric: rule.metric,
    labels: { ...rule.labels },
    rate: rule.isRate,
    comparison: rule.comparison === 'above' ? Comparison.ABOVE : Comparison.BELOW,
    threshold: rule.threshold,
    hold: durationFromMs(rule.holdMs),
    sinks: [...rule.sinks],
  };
}

function alertToProto({ rule, value, labels, startMs }: Alert): MessageInitShape<typeof AlertSchema> {
  return { rule, value, labels: { ...labels }, startTime: timestampFromMs(startMs) };
}
