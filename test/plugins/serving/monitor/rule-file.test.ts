import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { DEFAULT_RULE_FILE } from '../../../../plugins/serving/monitor/rules/default-rules.ts';
import { parseRuleFile } from '../../../../plugins/serving/monitor/rules/parse-rule-file.ts';
import { parseTemplate } from '../../../../plugins/serving/monitor/rules/template.ts';

const HOUR_MS = 3_600_000;

const FILE = `groups:
  - name: g
    interval: 30s
    limit: 5
    labels: { team: a }
    rules:
      - alert: High
        expr: |
          rate(a_total[5m])
            > 1
        for: 1m30s
        keep_firing_for: 2m
        labels: { severity: page, team: b }
        annotations: { summary: '{{ $labels.m }} is at {{ $value | humanize }}' }
      - alert: High
        expr: a > 2
`;

describe('rule files', () => {
  it('are read in the syntax of Prometheus', () => {
    const [group] = parseRuleFile('ruleFiles/f', FILE, HOUR_MS).groups;
    const values = { labels: { m: 'x' }, value: 1234.5 };
    const rules = (group?.rules ?? []).map(({ id, forMs, keepFiringForMs, labels, annotations }) => ({
      id,
      forMs,
      keepFiringForMs,
      team: labels.get('team')?.(values),
      summary: annotations.get('summary')?.(values),
    }));
    assert.deepEqual([group?.name, group?.intervalMs, group?.limit], ['g', 30_000, 5]);
    assert.deepEqual(rules, [
      {
        id: 'ruleFiles/f/g/High',
        forMs: 90_000,
        keepFiringForMs: 120_000,
        team: 'b',
        summary: 'x is at 1.234k',
      },
      { id: 'ruleFiles/f/g/High/2', forMs: 0, keepFiringForMs: 0, team: 'a', summary: undefined },
    ]);
  });

  it('may be empty', () => {
    assert.deepEqual(parseRuleFile('ruleFiles/f', 'groups: []', HOUR_MS).groups, []);
    assert.deepEqual(parseRuleFile('ruleFiles/f', 'groups:', HOUR_MS).groups, []);
  });

  const rule = (text: string): string =>
    `groups:\n  - name: g\n    rules:\n      - alert: A\n        ${text}\n`;
  const refused: Readonly<Record<string, readonly [string, RegExp]>> = {
    'what is no YAML': ['groups: [', /line 1, column \d+: /],
    'text instead of a map': ['hello', /line 1, column 1: the file is a map with groups/],
    'an unknown field': ['groups:\n  - name: g\n    foo: 1', /line 3, column 5: a group has no field 'foo'/],
    'a recording rule': [
      'groups:\n  - name: g\n    rules:\n      - record: a',
      /line 4, column 9: recording rules/,
    ],
    'two groups of a name': ['groups:\n  - name: g\n  - name: g', /two groups named 'g'/],
    'a rule without expr': [rule('for: 1m'), /line 4, column 9: a rule needs expr/],
    'a wrong expression': [
      rule('expr: rate(a)'),
      /line 5, column 15: expr, character 6: rate\(\) needs a range/,
    ],
    'a wrong duration': [rule('expr: a\n        for: soon'), /line 6, column 14: for is a duration/],
    'a wrong label': [rule('expr: a\n        labels: { "a b": c }'), /line 6, column 19: 'a b' is no name/],
    'a template that is not known': [
      rule('expr: a\n        annotations: { s: "{{ query \\"x\\" }}" }'),
      /line 6, column 27: s: '\{\{ query "x" \}\}' is not supported/,
    ],
    'a look too far back': [rule('expr: rate(a[2h])'), /looks back further than 1h/],
    'the same key twice': ['groups:\ngroups:', /line 1, column 8: Map keys must be unique\.$/],
    'aliases that grow': [`a: &a [x]\ngroups: [*a, *a]`, /line 1, column 1: the file has no field 'a'/],
    'too much text': [`groups: []\n#${'x'.repeat(262_144)}`, /more than 262144 characters/],
  };
  for (const [what, [text, message]] of Object.entries(refused)) {
    it(`are refused for ${what}, with the place`, () => {
      assert.throws(
        () => parseRuleFile('ruleFiles/f', text, HOUR_MS),
        (error: { reason: string; message: string }) => {
          assert.match(error.message, message);
          return error.reason === 'RULE_FILE_INVALID';
        },
      );
    });
  }

  it('that come with the plugin are valid', () => {
    const { groups } = parseRuleFile('ruleFiles/lamella', DEFAULT_RULE_FILE, 900_000);
    assert.deepEqual(
      groups.map(({ name }) => name),
      ['inference', 'drift', 'plugins', 'monitor'],
    );
  });

  it('that come with the plugin are valid for Prometheus too (skipped where promtool is not installed)', function () {
    const folder = mkdtempSync(path.join(tmpdir(), 'lamella-rules-'));
    try {
      const file = path.join(folder, 'rules.yaml');
      writeFileSync(file, DEFAULT_RULE_FILE);
      assert.match(execFileSync('promtool', ['check', 'rules', file], { encoding: 'utf8' }), /SUCCESS/);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      // Prometheus is not a part of the test machine; whoever has it runs this.
      this.skip();
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe('templates of rules', () => {
  const shown: readonly (readonly [string, number, string])[] = [
    ['{{ $value }}', 0.5, '0.5'],
    ['{{.Value}}', 2, '2'],
    ['{{ $value | humanize }}', 0.00123, '1.23m'],
    ['{{ $value | humanize }}', 5_000_000, '5M'],
    ['{{ $value | humanizePercentage }}', 0.0523, '5.23%'],
    ['{{ $value | humanizeDuration }}', 0.25, '250ms'],
    ['{{ $value | humanizeDuration }}', 3_725, '1h 2m 5s'],
    ['{{ $labels.m }}/{{ .Labels.none }}!', 0, 'x/!'],
    ['{{ $value | humanize }}', Number.POSITIVE_INFINITY, 'Infinity'],
  ];
  for (const [text, value, wanted] of shown) {
    it(`write ${text} of ${value} as ${wanted}`, () => {
      assert.equal(parseTemplate(text)({ labels: { m: 'x' }, value }), wanted);
    });
  }
});
