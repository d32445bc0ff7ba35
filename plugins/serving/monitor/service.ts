import type { MonitorService } from 'lamella/proto/lamella/serving/v1/monitor_service';
import { type Host, pageOf, type ServiceImplementation } from 'lamella/sdk';
import { testRules } from './alerts/test-rules.ts';
import type { MonitorConfig } from './config.ts';
import { MonitorRequestInvalid } from './errors.ts';
import {
  alertKey,
  alertToProto,
  ruleFileToProto,
  ruleToProto,
  silenceFromProto,
  silenceToProto,
} from './messages.ts';
import type { Monitor } from './monitor.ts';
import { driftToProto } from './drift/drift-message.ts';
import { queryMetrics } from './query-metrics.ts';

type Implementation = ServiceImplementation<typeof MonitorService>;

/** The service over its parts. */
export function monitorService(host: Host, monitor: Monitor, config: MonitorConfig): Implementation {
  return {
    ...metricMethods(host, monitor, config),
    ...ruleMethods(monitor),
    testRuleFile: ({ text }) => ({ rules: testRules(monitor, text, host.clock.now()) }),
    ...alertMethods(host, monitor),
    ...driftMethods(monitor),
  };
}

function metricMethods(
  { clock, metrics }: Host,
  { window }: Monitor,
  config: MonitorConfig,
): Pick<Implementation, 'getMetrics' | 'queryMetrics'> {
  return {
    getMetrics: async () => ({ text: await metrics.exposition() }),
    queryMetrics: (request) => ({ series: queryMetrics(request, { window, config, nowMs: clock.now() }) }),
  };
}

function ruleMethods({
  rules,
  watch,
  alerts,
}: Monitor): Pick<Implementation, 'listRuleFiles' | 'setRuleFile' | 'deleteRuleFile' | 'listAlertRules'> {
  return {
    listRuleFiles: (request) => {
      const { items, nextPageToken } = pageOf(rules.files(), ({ name }) => name, request);
      return { ruleFiles: items.map(ruleFileToProto), nextPageToken };
    },
    setRuleFile: async ({ ruleFile, validateOnly }) => {
      if (ruleFile === undefined)
        throw new MonitorRequestInvalid({ field: 'rule_file', problem: 'it is missing' });
      const file = await rules.set(ruleFile.name, ruleFile.text, validateOnly);
      return {
        ruleFile: ruleFileToProto(file),
        ruleCount: file.groups.reduce((count, group) => count + group.rules.length, 0),
      };
    },
    deleteRuleFile: async ({ name }) => {
      await rules.delete(name);
      return {};
    },
    listAlertRules: (request) => {
      const all = rules
        .files()
        .flatMap(({ groups }) => groups)
        .flatMap((group) => group.rules.map((rule) => ({ group: group.name, rule })));
      const { items, nextPageToken } = pageOf(all, ({ rule }) => rule.id, request);
      const shown = items.map(({ group, rule }) =>
        ruleToProto(group, rule, { alerts: alerts.all(), health: watch.healthOf(rule) }),
      );
      return { rules: shown, nextPageToken };
    },
  };
}

function alertMethods(
  { clock }: Host,
  monitor: Monitor,
): Pick<Implementation, 'listAlerts' | 'listSilences' | 'createSilence' | 'deleteSilence' | 'listReceivers'> {
  const { silences } = monitor;
  return {
    listAlerts: (request) => {
      const { items, nextPageToken } = pageOf(monitor.muted(), alertKey, request);
      return { alerts: items.map(alertToProto), nextPageToken };
    },
    listSilences: (request) => {
      const { items, nextPageToken } = pageOf(silences.list(), ({ name }) => name, request);
      return { silences: items.map(silenceToProto), nextPageToken };
    },
    createSilence: async ({ silence }) => {
      const nowMs = clock.now();
      const created = await silences.create(silenceFromProto(silence, nowMs), nowMs);
      return { silence: silenceToProto(created) };
    },
    deleteSilence: async ({ name }) => {
      await silences.delete(name);
      return {};
    },
    listReceivers: (request) => {
      const health = monitor.receivers.map((receiver) => receiver.health());
      const { items, nextPageToken } = pageOf(health, ({ name }) => name, request);
      return { receivers: items, nextPageToken };
    },
  };
}

function driftMethods({ drift }: Monitor): Pick<Implementation, 'listDrift'> {
  return {
    listDrift: ({ model, ...page }) => {
      const watched = drift.models().filter((candidate) => model === '' || candidate.model === model);
      const key = (one: (typeof watched)[number]): string => `${one.model}/${one.modelVersion}`;
      const { items, nextPageToken } = pageOf(watched, key, page);
      return { models: items.map((item) => driftToProto(drift, item)), nextPageToken };
    },
  };
}
