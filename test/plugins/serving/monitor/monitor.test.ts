import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import path from 'node:path';
import { AlertState, MonitorService } from 'lamella/proto/lamella/serving/v1/monitor_service';
import { startTestKernel, type TestKernel } from 'lamella/sdk/testing';
import type { Client } from 'lamella/sdk';
import { Webhook } from 'standardwebhooks';
import { eventually } from '../../../support/eventually.ts';
import { WebhookReceiver } from './webhook-receiver.ts';

const PLUGIN = path.resolve('dist/plugins/serving/monitor');
const SECRET = `whsec_${randomBytes(32).toString('base64')}`;
const DELETES = 'lamella_rpc_total{method=~".*/DeleteSilence"}';
const RULES = `groups:
  - name: g
    rules:
      - alert: Deleted
        expr: sum by (plugin) (${DELETES}) > 2
        labels: { severity: page }
        annotations: { summary: '{{ $labels.plugin }} was asked {{ $value }} times' }
`;

describe('serving.monitor in a kernel', function () {
  this.timeout(120_000);
  let server: WebhookReceiver;
  let kernel: TestKernel | undefined;
  let monitor: Client<typeof MonitorService>;

  before(async () => {
    server = await new WebhookReceiver().start();
    kernel = await startTestKernel({
      plugins: [PLUGIN],
      environment: { HOOK_SECRET: SECRET },
      config: {
        plugins: {
          'serving.monitor': {
            capabilities: { network: [`127.0.0.1:${server.port}`], secrets: ['hook'] },
            secrets: { hook: 'HOOK_SECRET' },
            config: {
              intervalMs: 100,
              windowMs: 20_000,
              defaultRules: false,
              receivers: [
                { name: 'hook', webhook: { url: server.url, secret: 'hook' }, groupIntervalMs: 0 },
                { name: 'critical', webhook: { url: server.url }, matchers: '{severity="critical"}' },
              ],
            },
          },
        },
      },
    });
    monitor = kernel.call(MonitorService);
  });

  after(async () => {
    await kernel?.stop();
    await server.close();
  });

  it('runs in a worker, so that no rule holds up a call', () => {
    assert.equal(kernel?.describe('serving.monitor').isolation, 'WORKER');
  });

  it('answers expressions over the metrics of the kernel', async () => {
    await eventually(
      async () =>
        (await monitor.queryMetrics({ expression: 'process_start_time_seconds' })).series.length === 1,
    );
    const { series } = await monitor.queryMetrics({
      expression: 'count by (method) (lamella_rpc_total{method=~".*/QueryMetrics"})',
      range: { seconds: 1n },
      step: { nanos: 500_000_000 },
    });
    assert.ok(series.length <= 1);
    await assert.rejects(monitor.queryMetrics({ expression: 'rate(a)' }), {
      reason: 'EXPRESSION_INVALID',
      message:
        'The expression cannot be evaluated: line 1, character 6: rate() needs a range, for example rate(metric[5m]).',
    });
    await assert.rejects(monitor.queryMetrics({ expression: 'a', range: { seconds: 60n } }), {
      reason: 'MONITOR_REQUEST_INVALID',
    });
    await assert.rejects(
      monitor.queryMetrics({ expression: 'a', range: { seconds: 20n }, step: { nanos: 1_000_000 } }),
      {
        reason: 'MONITOR_REQUEST_INVALID',
      },
    );
  });

  it('refuses a wrong rule file and keeps none that is only checked', async () => {
    const name = 'ruleFiles/test';
    const wrong = { name, text: RULES.replace('sum by', 'median by') };
    await assert.rejects(monitor.setRuleFile({ ruleFile: wrong }), { reason: 'RULE_FILE_INVALID' });
    await assert.rejects(monitor.setRuleFile({ ruleFile: { name: '../x', text: RULES } }), {
      reason: 'MONITOR_REQUEST_INVALID',
    });
    await assert.rejects(monitor.setRuleFile({ ruleFile: { name: 'ruleFiles/lamella', text: RULES } }), {
      reason: 'RULE_FILE_READ_ONLY',
    });
    await assert.rejects(monitor.setRuleFile({}), { reason: 'MONITOR_REQUEST_INVALID' });
    assert.equal(
      (await monitor.setRuleFile({ ruleFile: { name, text: RULES }, validateOnly: true })).ruleCount,
      1,
    );
    assert.deepEqual((await monitor.listRuleFiles({})).ruleFiles, []);
  });

  it('tells a webhook of an alert on real metrics, signed, and of its end', async () => {
    for (let call = 0; call < 3; call += 1) await monitor.deleteSilence({ name: 'silences/none' });
    await monitor.setRuleFile({ ruleFile: { name: 'ruleFiles/test', text: RULES } });
    const { headers, body, json } = await server.received(1);
    new Webhook(SECRET).verify(body, headers as Record<string, string>);
    assert.deepEqual(
      json.alerts.map(({ status, labels }) => [status, labels]),
      [['firing', { alertname: 'Deleted', plugin: 'serving.monitor', severity: 'page' }]],
    );
    const { alerts } = await monitor.listAlerts({});
    assert.deepEqual(
      alerts.map(({ state, value, annotations }) => [state, value, annotations['summary']]),
      [[AlertState.FIRING, 3, 'serving.monitor was asked 3 times']],
    );
    const { rules } = await monitor.listAlertRules({});
    assert.deepEqual(
      rules.map(({ name, state, problem }) => [name, state, problem]),
      [['ruleFiles/test/g/Deleted', AlertState.FIRING, '']],
    );
    assert.deepEqual(
      (await monitor.listReceivers({})).receivers.map(({ name, failures }) => [name, failures]),
      [
        ['critical', 0],
        ['hook', 0],
      ],
    );
  });

  it('shows a silence, and tells nobody while it holds', async () => {
    const endTime = { seconds: BigInt(Math.floor(Date.now() / 1_000) + 600) };
    const { silence } = await monitor.createSilence({
      silence: { matchers: '{alertname="Deleted"}', endTime, creator: 'test' },
    });
    assert.deepEqual((await monitor.listAlerts({})).alerts[0]?.silences, [silence?.name]);
    assert.equal((await monitor.listSilences({})).silences.length, 1);
    await monitor.deleteSilence({ name: silence?.name ?? '' });
    await assert.rejects(monitor.createSilence({ silence: { matchers: 'x', endTime } }), {
      reason: 'MONITOR_REQUEST_INVALID',
    });
    await assert.rejects(monitor.createSilence({}), { reason: 'MONITOR_REQUEST_INVALID' });
  });

  it('goes on over a reload without telling again', async () => {
    await kernel?.reload('serving.monitor');
    await eventually(async () => (await monitor.listAlerts({})).alerts[0]?.state === AlertState.FIRING);
    await monitor.deleteRuleFile({ name: 'ruleFiles/test' });
    const { json } = await server.received(2);
    assert.equal(json.status, 'resolved');
    assert.equal(server.hooks.length, 2);
    assert.deepEqual((await monitor.listAlerts({})).alerts, []);
  });
});
