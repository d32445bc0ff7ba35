import assert from 'node:assert/strict';
import type { MessageInitShape } from '@bufbuild/protobuf';
import {
  type AlertRuleSchema,
  Comparison,
  MonitorService,
} from 'lamella/proto/lamella/serving/v1/monitor_service';
import type { Client } from 'lamella/sdk';
import type { Rule } from '../../../plugins/serving/monitor/alert-rules.ts';
import { AlertWatch } from '../../../plugins/serving/monitor/alert-watch.ts';
import { parseExposition, type Sample } from '../../../plugins/serving/monitor/exposition.ts';
import plugin from '../../../plugins/serving/monitor/plugin.ts';
import { FakeHost } from '../../support/fake-host.ts';

type RuleInit = Exclude<MessageInitShape<typeof AlertRuleSchema>, { $typeName: string }>;

const rule: RuleInit = {
  name: 'alertRules/errors',
  metric: 'errors_total',
  labels: { model: 'm' },
  comparison: Comparison.ABOVE,
  threshold: 1,
  hold: { seconds: 2n },
  sinks: ['log', 'event'],
};

describe('serving.monitor', () => {
  let host: FakeHost;
  let client: Client<typeof MonitorService>;
  let text = '';

  beforeEach(async () => {
    text = 'errors_total{model="m"} 0\n';
    host = new FakeHost({ config: { intervalMs: 1, maxRules: 2 } });
    host.metrics.exposition = async () => text;
    await host.start(plugin);
    client = host.client(MonitorService);
  });

  afterEach(() => host.close());

  it('returns the metrics of the whole kernel', async () => {
    assert.equal((await client.getMetrics({})).text, text);
  });

  it('keeps rules, replaces one of the same name, and forgets a deleted one', async () => {
    await client.setAlertRule({ rule });
    await client.setAlertRule({ rule: { ...rule, name: 'alertRules/b' } });
    await client.setAlertRule({ rule: { ...rule, threshold: 7 } });
    const first = await client.listAlertRules({ pageSize: 1 });
    const second = await client.listAlertRules({ pageSize: 1, pageToken: first.nextPageToken });
    assert.deepEqual([first.rules[0]?.name, second.rules[0]?.name], ['alertRules/b', rule.name]);
    assert.deepEqual([second.rules[0]?.threshold, second.rules[0]?.hold?.seconds], [7, 2n]);
    await client.deleteAlertRule({ name: rule.name ?? '' });
    await client.deleteAlertRule({ name: rule.name ?? '' });
    const { rules } = await client.listAlertRules({});
    assert.deepEqual(
      rules.map(({ name }) => name),
      ['alertRules/b'],
    );
    await assert.rejects(client.listAlertRules({ pageToken: 'x' }), { reason: 'PAGE_INVALID' });
  });

  it('refuses more rules than are allowed', async () => {
    for (const name of ['a', 'b'])
      await client.setAlertRule({ rule: { ...rule, name: `alertRules/${name}` } });
    await assert.rejects(client.setAlertRule({ rule }), { reason: 'ALERT_RULES_FULL' });
  });

  const invalid: Readonly<Record<string, RuleInit | undefined>> = {
    rule: undefined,
    name: { ...rule, name: 'alertRules/../x' },
    metric: { ...rule, metric: 'a b' },
    labels: {
      ...rule,
      labels: Object.fromEntries(Array.from({ length: 33 }, (_, index) => [`l${index}`, ''])),
    },
    comparison: { ...rule, comparison: 9 as Comparison },
    threshold: { ...rule, threshold: Number.NaN },
    hold: { ...rule, hold: { seconds: -1n } },
    sinks: { ...rule, sinks: ['https://example.org'] },
  };
  for (const [field, wrong] of Object.entries(invalid)) {
    it(`refuses a rule whose ${field} is wrong`, async () => {
      const request = wrong === undefined ? {} : { rule: wrong };
      await assert.rejects(
        client.setAlertRule(request),
        (error: { reason: string; metadata: { field: string } }) =>
          error.reason === 'ALERT_RULE_INVALID' && error.metadata.field === field,
      );
    });
  }

  it('refuses to delete what is no rule name', async () => {
    await assert.rejects(client.deleteAlertRule({ name: 'x' }), { reason: 'ALERT_RULE_INVALID' });
  });

  it('says that it keeps no access log', async () => {
    const log = client.watchAccessLog({})[Symbol.asyncIterator]();
    await assert.rejects(async () => log.next(), { reason: 'ACCESS_LOG_UNAVAILABLE' });
  });

  it('lists an alert while its condition holds, and tells its sinks', async () => {
    await client.setAlertRule({ rule: { ...rule, hold: { seconds: 0n } } });
    text = 'errors_total{model="m"} 5\nerrors_total{model="other"} 9\n';
    while ((await client.listAlerts({})).alerts.length === 0) await new Promise((next) => setImmediate(next));
    const { alerts } = await client.listAlerts({});
    assert.deepEqual(
      alerts.map(({ rule: name, value, labels }) => ({ name, value, labels })),
      [{ name: rule.name, value: 5, labels: { model: 'm' } }],
    );
    assert.equal(host.lines[0]?.message, 'Alert fires');
    assert.equal(host.published[0]?.topic, 'serving.alerts');
  });

  it('goes on after metrics that could not be read', async () => {
    await client.setAlertRule({ rule });
    host.metrics.exposition = () => Promise.reject(new Error('lost'));
    while (host.lines.length === 0) await new Promise((next) => setImmediate(next));
    assert.equal(host.lines[0]?.level, 'error');
  });
});

describe('alert watch', () => {
  const hosts: FakeHost[] = [];

  afterEach(async () => {
    for (const host of hosts.splice(0)) await host.close();
  });

  const above: Rule = {
    name: 'alertRules/r',
    metric: 'm',
    labels: {},
    isRate: false,
    comparison: 'above',
    threshold: 10,
    holdMs: 100,
    sinks: ['log', 'event'],
  };

  function run(
    checked: Rule,
    steps: readonly (readonly [number, number])[],
  ): { fired: number[]; told: string[] } {
    const host = new FakeHost();
    hosts.push(host);
    const watch = new AlertWatch({ log: host.log, events: host.events });
    const fired = steps.map(([nowMs, value]) => {
      const sample: Sample = { name: 'm', labels: {}, value };
      watch.evaluate([checked], [sample], nowMs);
      return watch.firing().length;
    });
    watch.evaluate([], [], 1e6);
    return { fired, told: host.lines.map(({ message }) => message) };
  }

  it('fires once the condition has held long enough, and ends with it', () => {
    const { fired, told } = run(above, [
      [0, 11],
      [99, 11],
      [100, 12],
      [200, 12],
      [300, 10],
      [400, 11],
    ]);
    assert.deepEqual(fired, [0, 0, 1, 1, 0, 0]);
    assert.deepEqual(told, ['Alert fires', 'Alert ended']);
  });

  it('ends with its rule', () => {
    assert.deepEqual(run({ ...above, holdMs: 0 }, [[0, 11]]).told, ['Alert fires', 'Alert ended']);
  });

  it('tells only the sinks of the rule', () => {
    assert.deepEqual(
      run({ ...above, holdMs: 0, sinks: ['event'] }, [
        [0, 11],
        [1, 0],
      ]).told,
      [],
    );
  });

  it('compares below', () => {
    assert.deepEqual(
      run({ ...above, comparison: 'below', holdMs: 0 }, [
        [0, 11],
        [1, 9],
      ]).fired,
      [0, 1],
    );
  });

  it('compares the increase a second, over a restart of the counter too', () => {
    const rate: Rule = { ...above, isRate: true, holdMs: 0 };
    assert.deepEqual(
      run(rate, [
        [0, 1e6],
        [1000, 1e6 + 10],
        [2000, 1e6 + 21],
        [3000, 0],
        [4000, 20],
      ]).fired,
      [0, 0, 1, 0, 1],
    );
  });
});

describe('exposition', () => {
  it('is read with escapes, infinities and time stamps; other lines are skipped', () => {
    const text = '# HELP a x\na 1\nb{x="1\\"\\n\\\\,}",y=""} +Inf 123\nc -Inf\n\nd NaN\n{} 1\n';
    assert.deepEqual(parseExposition(text), [
      { name: 'a', labels: {}, value: 1 },
      { name: 'b', labels: { x: '1"\n\\,}', y: '' }, value: Number.POSITIVE_INFINITY },
      { name: 'c', labels: {}, value: Number.NEGATIVE_INFINITY },
      { name: 'd', labels: {}, value: Number.NaN },
    ]);
  });
});
