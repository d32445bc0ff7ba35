import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Command } from 'commander';
import { addAlertCommand } from '../../kernel/cli/alert/alert-command.ts';
import type { AlertRow, SilenceRow } from '../../kernel/cli/alert/alert-table.ts';
import type { RuleView } from '../../kernel/cli/alert/alert-test.ts';
import { candidates } from '../../kernel/cli/completion-command.ts';
import { runProgram } from '../../kernel/cli/program.ts';
import { MonitorService } from '../../proto/gen/lamella/serving/v1/monitor_service_pb.ts';
import { startTestKernel, type TestKernel } from '../../sdk/testing/index.ts';
import { ROOT } from '../support/echo-plugin.ts';
import { eventually } from '../support/eventually.ts';

const RULES = `groups:
  - name: g
    rules:
      - alert: Up
        expr: process_start_time_seconds > 0
        labels: { severity: page }
        annotations: { summary: 'it runs since {{ $value }}' }
      - alert: Never
        expr: process_start_time_seconds < 0
        for: 5m
`;

interface Run {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

describe('lamella alert', function () {
  this.timeout(60_000);
  let folder: string;
  let rules: string;
  let kernel: TestKernel;

  before(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'lamella-alert-'));
    rules = path.join(folder, 'rules.yaml');
    await writeFile(rules, RULES);
    const config = {
      intervalMs: 100,
      windowMs: 20_000,
      defaultRules: false,
      receivers: [
        { name: 'all', log: true },
        { name: 'critical', log: true, matchers: '{severity="critical"}' },
      ],
    };
    kernel = await startTestKernel({
      plugins: [path.join(ROOT, 'dist/plugins/serving/monitor')],
      config: { plugins: { 'serving.monitor': { config } } },
    });
  });

  after(async () => {
    await kernel.stop();
    await rm(folder, { recursive: true, force: true });
  });

  async function run(...words: readonly string[]): Promise<Run> {
    const [out, err]: [string[], string[]] = [[], []];
    const code = await runProgram(['alert', ...words, '--address', kernel.addresses.grpc], {
      out: (line) => out.push(line),
      err: (line) => err.push(line),
      isInteractive: false,
      environment: { LAMELLA_HOME: kernel.home },
      exit: () => assert.fail('exit'),
    });
    return { code, out: out.join('\n'), err: err.join('\n') };
  }

  async function json<Value>(...words: readonly string[]): Promise<Value> {
    const { code, out, err } = await run(...words, '--json');
    assert.equal(code, 0, err);
    return JSON.parse(out) as Value;
  }

  it('tells what the rules of a file would do, and keeps nothing', async () => {
    await eventually(async () => (await run('test', rules)).out.includes('Up: 1 would fire'));
    const { code, out } = await run('test', rules);
    assert.match(
      out,
      /^g\/Up: 1 would fire at once\n {2}\{alertname="Up", severity="page"\} = [\d.]+: tells all\n/,
    );
    assert.match(out, /^g\/Never: gives nothing now$/m);
    assert.deepEqual((await kernel.call(MonitorService).listRuleFiles({})).ruleFiles, []);
    assert.equal(code, 0);
    const shown = await json<RuleView[]>('test', rules);
    assert.deepEqual(
      shown.map(({ alert, forMs, alerts }) => [alert, forMs, alerts[0]?.receivers]),
      [
        ['Up', 0, ['all']],
        ['Never', 300_000, undefined],
      ],
    );
  });

  it('fails when a rule cannot be evaluated, and says why', async () => {
    const many = path.join(folder, 'many.yaml');
    const all = '{__name__=~"process_.*"}';
    await writeFile(many, `groups: [{ name: g, rules: [{ alert: Many, expr: '${all} + on () ${all}' }] }]`);
    const { code, out } = await run('test', many);
    assert.equal(code, 1);
    assert.match(out, /^g\/Many: .*series/);
  });

  it('says where a file is wrong', async () => {
    const wrong = path.join(folder, 'wrong.yaml');
    await writeFile(wrong, RULES.replace('> 0', '>'));
    const { code, err } = await run('test', wrong);
    assert.equal(code, 1);
    assert.match(err, /RULE_FILE_INVALID|line 5, column/);
  });

  it('lists alerts, silences one by its name, and ends the silence', async () => {
    assert.equal((await run('list')).out, 'no alerts');
    await kernel.call(MonitorService).setRuleFile({ ruleFile: { name: 'ruleFiles/up', text: RULES } });
    await eventually(async () => (await run('list')).out.includes('firing'));
    const [alert] = await json<AlertRow[]>('list');
    assert.deepEqual(
      [alert?.name, alert?.state, alert?.labels['severity'], alert?.silences],
      ['Up', 'firing', 'page', []],
    );
    const silence = await json<SilenceRow>('silence', 'Up', '--for', '2h', '--comment', 'known');
    assert.equal(silence.matchers, '{alertname="Up"}');
    const leftMs = Date.parse(silence.until) - Date.now();
    assert.ok(leftMs > 7_000_000 && leftMs <= 7_200_000, silence.until);
    assert.match((await run('list')).out, /firing, told to nobody\s+Up\s+page/);
    assert.deepEqual(
      (await json<SilenceRow[]>('silences')).map(({ comment }) => comment),
      ['known'],
    );
    assert.match((await run('test', rules)).out, /silenced by silences\//);
    assert.match((await run('unsilence', silence.name)).out, / has ended\.$/);
    assert.equal((await run('silences')).out, 'no silences');
    const again = await run('unsilence', silence.name);
    assert.equal(again.code, 1);
    assert.match(again.err, /There is no silence/);
  });

  it('takes labels in braces, and refuses what is none and a silence for ever', async () => {
    const { out } = await run('silence', '{severity=~"p.*"}', '--for', '30m');
    await run('unsilence', out);
    assert.equal((await run('silence', '{severity}')).code, 1);
    assert.equal((await run('silence', 'Up', '--for', 'never')).code, 2);
  });

  it('completes its commands and has examples', async () => {
    const program = new Command();
    const silent = (): void => undefined;
    addAlertCommand(program, {
      out: silent,
      err: silent,
      isInteractive: false,
      environment: {},
      exit: () => assert.fail('exit'),
    });
    const words = candidates(program, ['alert', '']).map(({ word }) => word);
    assert.deepEqual(words.toSorted(), ['help', 'list', 'silence', 'silences', 'test', 'unsilence']);
    assert.match((await run('--help')).out, /Examples:\n {2}lamella alert list/);
  });
});
