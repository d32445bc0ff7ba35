import assert from 'node:assert/strict';
import { AlertBook } from '../../../../plugins/serving/monitor/alerts/alert-book.ts';
import { Inhibition } from '../../../../plugins/serving/monitor/alerts/inhibition.ts';
import { RuleWatch } from '../../../../plugins/serving/monitor/alerts/rule-watch.ts';
import { Silences } from '../../../../plugins/serving/monitor/alerts/silences.ts';
import { parseRuleFile } from '../../../../plugins/serving/monitor/rules/parse-rule-file.ts';
import type { RuleFile } from '../../../../plugins/serving/monitor/rules/rule.ts';
import { SampleWindow } from '../../../../plugins/serving/monitor/sample-window.ts';
import { FakeHost } from '../../../support/fake-host.ts';

const HOUR_MS = 3_600_000;

function fileOf(...rules: readonly string[]): RuleFile {
  return parseRuleFile('ruleFiles/f', `groups:\n- name: g\n  rules:\n${rules.join('\n')}`, HOUR_MS);
}

async function countOf({ storage }: FakeHost, prefix: string): Promise<number> {
  let count = 0;
  for await (const _entry of storage.range(prefix)) count += 1;
  return count;
}

describe('alerts', () => {
  const hosts: FakeHost[] = [];

  afterEach(async () => {
    for (const host of hosts.splice(0)) await host.close();
  });

  class Subject {
    readonly host: FakeHost;
    readonly problems: string[] = [];
    window: SampleWindow = new SampleWindow({ looks: 100, maxSeries: 100 });
    alerts: AlertBook;
    watch: RuleWatch;
    readonly files: RuleFile[];

    constructor(file: RuleFile, host: FakeHost = new FakeHost()) {
      this.host = host;
      hosts.push(host);
      this.files = [file];
      this.alerts = new AlertBook(host.storage, (error) => this.problems.push(String(error)));
      this.watch = new RuleWatch({
        window: this.window,
        alerts: this.alerts,
        maxAlerts: 3,
        onProblem: (_rule, problem) => this.problems.push(problem),
      });
    }

    async look(seconds: number, text: string): Promise<string> {
      this.window.add(text, seconds * 1_000);
      await this.watch.evaluate(this.files, seconds * 1_000);
      return this.alerts
        .all()
        .map(({ state, labels, value }) => `${state} ${labels['m'] ?? ''} ${value}`)
        .toSorted()
        .join(', ');
    }
  }

  it('wait for as long as their rule says, each by itself', async () => {
    const subject = new Subject(fileOf('  - {alert: A, expr: "a > 1", for: 10s}'));
    assert.equal(await subject.look(0, 'a{m="x"} 2\na{m="y"} 1'), 'pending x 2');
    assert.equal(await subject.look(5, 'a{m="x"} 3\na{m="y"} 2'), 'pending x 3, pending y 2');
    assert.equal(await subject.look(10, 'a{m="x"} 4\na{m="y"} 2'), 'firing x 4, pending y 2');
    assert.equal(await subject.look(15, 'a{m="x"} 4\na{m="y"} 0'), 'firing x 4');
    assert.equal(await subject.look(20, 'a{m="x"} 0'), '');
  });

  it('fire on for keep_firing_for', async () => {
    const subject = new Subject(fileOf('  - {alert: A, expr: "a > 1", keep_firing_for: 10s}'));
    assert.equal(await subject.look(0, 'a 2'), 'firing  2');
    assert.equal(await subject.look(9, 'a 0'), 'firing  2');
    assert.equal(await subject.look(10, 'a 0'), '');
  });

  it('end with their rule', async () => {
    const subject = new Subject(fileOf('  - {alert: A, expr: a}'));
    assert.equal(await subject.look(0, 'a 2'), 'firing  2');
    subject.files.length = 0;
    assert.equal(await subject.look(1, 'a 2'), '');
    assert.equal(await countOf(subject.host, 'alert/'), 0);
  });

  it('are on disk before anybody can learn of them', async () => {
    const subject = new Subject(fileOf('  - {alert: A, expr: a}'));
    subject.host.storage.beforeWrite = () => assert.equal(subject.alerts.firing().length, 0);
    await subject.look(0, 'a 2');
    assert.deepEqual([subject.alerts.firing().length, subject.problems], [1, []]);
  });

  it('fire although the disk is full', async () => {
    const subject = new Subject(fileOf('  - {alert: A, expr: a}'));
    subject.host.storage.beforeWrite = () => {
      throw new Error('disk full');
    };
    assert.equal(await subject.look(0, 'a 2'), 'firing  2');
    assert.deepEqual(subject.problems, ['Error: disk full']);
  });

  it('fire on after a restart until their rule sees as far back as it looks', async () => {
    const file = fileOf('  - {alert: A, expr: "increase(a[60s]) > 1"}', '  - {alert: B, expr: "b > 1"}');
    const before = new Subject(file);
    await before.look(0, 'a 1\nb 5');
    await before.look(30, 'a 9\nb 5');
    assert.equal(before.alerts.firing().length, 2);
    const after = new Subject(file, before.host);
    await after.alerts.load();
    assert.equal(after.alerts.firing().length, 2);
    await after.look(100, 'a 9\nb 0');
    assert.deepEqual(
      after.alerts.firing().map(({ labels, firedMs }) => [labels['alertname'], firedMs]),
      [['A', 30_000]],
    );
    await after.look(130, 'a 9');
    assert.equal(after.alerts.firing().length, 1);
    await after.look(160, 'a 9');
    assert.equal(after.alerts.firing().length, 0);
  });

  it('stay as they are while their rule cannot be evaluated, and say so once', async () => {
    const subject = new Subject(fileOf('  - {alert: A, expr: "a / on(m) b"}'));
    assert.equal(await subject.look(0, 'a{m="x"} 2\nb{m="x"} 1'), 'firing x 2');
    const twice = 'a{m="x"} 2\nb{m="x",n="1"} 1\nb{m="x",n="2"} 1';
    assert.equal(await subject.look(1, twice), 'firing x 2');
    assert.equal(await subject.look(2, twice), 'firing x 2');
    assert.equal(subject.problems.length, 1);
    assert.match(subject.problems[0] ?? '', /several series on the right side/);
  });

  it('are never more than allowed', async () => {
    const subject = new Subject(fileOf('  - {alert: A, expr: a}'));
    const many = ['p', 'q', 'r', 's'].map((name) => `a{m="${name}"} 1`).join('\n');
    assert.equal(await subject.look(0, many), '');
    assert.match(subject.problems[0] ?? '', /4 alerts, more than the 3 allowed/);
  });

  it('of a group are evaluated as often as it says', async () => {
    const file = parseRuleFile(
      'ruleFiles/f',
      'groups:\n- name: g\n  interval: 10s\n  rules:\n  - {alert: A, expr: a}',
      HOUR_MS,
    );
    const subject = new Subject(file);
    assert.equal(await subject.look(0, 'a 1'), 'firing  1');
    assert.equal(await subject.look(9, 'a 2'), 'firing  1');
    assert.equal(await subject.look(10, 'a 3'), 'firing  3');
  });
});

describe('silences', () => {
  let host: FakeHost;
  let silences: Silences;
  const wanted = { matchers: '{m="x"}', startMs: 10, endMs: 20, creator: 'me', comment: 'maintenance' };

  beforeEach(() => {
    host = new FakeHost();
    silences = new Silences(host.storage);
  });

  afterEach(() => host.close());

  it('hold for their time and their labels', async () => {
    const { name } = await silences.create(wanted, 5);
    const at = (nowMs: number): string[] => silences.of({ m: 'x' }, nowMs).map((silence) => silence.name);
    assert.deepEqual([at(9), at(10), at(19), at(20)], [[], [name], [name], []]);
    assert.deepEqual(silences.of({ m: 'y' }, 15), []);
  });

  it('outlive a restart, and are forgotten when they are over', async () => {
    const silence = await silences.create(wanted, 5);
    const again = new Silences(host.storage);
    await again.load();
    assert.deepEqual(again.list(), [silence]);
    await again.forgetOld(20);
    assert.deepEqual([again.list(), await countOf(host, 'silence/')], [[], 0]);
  });

  it('do not hold when they could not be kept', async () => {
    host.storage.beforeWrite = () => {
      throw new Error('disk full');
    };
    await assert.rejects(silences.create(wanted, 5), /disk full/);
    assert.deepEqual(silences.list(), []);
  });

  it('end when they are deleted, also twice', async () => {
    const { name } = await silences.create(wanted, 5);
    await silences.delete(name);
    await silences.delete(name);
    assert.deepEqual(silences.list(), []);
  });

  const wrong: Readonly<Record<string, Partial<typeof wanted>>> = {
    'silence.end_time': { endMs: 10 },
    'silence.matchers': { matchers: 'x' },
    'silence.creator': { creator: 'x'.repeat(1_001) },
    'silence.comment': { comment: 'x'.repeat(1_001) },
  };
  for (const [field, change] of Object.entries(wrong)) {
    it(`are refused for a wrong ${field}`, async () => {
      await assert.rejects(
        silences.create({ ...wanted, ...change }, 5),
        (error: { reason: string; metadata: { field: string } }) =>
          error.reason === 'MONITOR_REQUEST_INVALID' && error.metadata.field === field,
      );
    });
  }
});

describe('inhibition', () => {
  const alert = (id: string, labels: Record<string, string>): Parameters<Inhibition['of']>[0][number] => ({
    id,
    ruleId: 'r',
    labels,
    annotations: {},
    value: 1,
    state: 'firing',
    activeMs: 0,
    firedMs: 0,
    seenMs: 0,
  });

  it('holds back what has the same labels as a graver alert, never that one itself', () => {
    const inhibition = new Inhibition([
      { source: '{severity="critical"}', target: '{severity=~"warning|critical"}', equal: ['m'] },
      { source: '{alertname="Down"}', target: '{severity="warning"}', equal: ['m'] },
    ]);
    const held = inhibition.of([
      alert('1', { alertname: 'Down', severity: 'critical', m: 'x' }),
      alert('2', { alertname: 'Slow', severity: 'warning', m: 'x' }),
      alert('3', { alertname: 'Slow', severity: 'warning', m: 'y' }),
    ]);
    assert.deepEqual([...held], [['2', '1']]);
  });
});
