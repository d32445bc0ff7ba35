import assert from 'node:assert/strict';
import fc from 'fast-check';
import { evaluate } from '../../../../plugins/serving/monitor/promql/evaluate.ts';
import { lookbackMs } from '../../../../plugins/serving/monitor/promql/expression.ts';
import { parseExpression } from '../../../../plugins/serving/monitor/promql/parse.ts';
import { SyntaxProblem } from '../../../../plugins/serving/monitor/promql/syntax-problem.ts';
import { EvaluationProblem, type Vector } from '../../../../plugins/serving/monitor/promql/vector.ts';
import { SampleWindow } from '../../../../plugins/serving/monitor/sample-window.ts';
import { REFERENCE_ANSWERS, REFERENCE_SERIES } from './promql-reference.ts';

const MINUTE_MS = 60_000;

function referenceWindow(): SampleWindow {
  const window = new SampleWindow({ looks: 20, maxSeries: 100 });
  for (let look = 0; look < 11; look += 1) {
    const lines = REFERENCE_SERIES.map(([series, values]) => `${series} ${values[look]}`);
    window.add(lines.join('\n'), look * MINUTE_MS);
  }
  return window;
}

function answer(text: string, window: SampleWindow, timeMs = 10.5 * MINUTE_MS): Vector {
  const value = evaluate(parseExpression(text), { source: window, timeMs, maxSamples: 10_000 });
  return typeof value === 'number' ? [{ labels: {}, value }] : value;
}

function written(vector: Vector): string {
  const number = (value: number): string =>
    Number.isFinite(value) ? (value === 0 ? 0 : value).toPrecision(9) : String(value);
  return vector
    .map(({ labels, value }) => `${JSON.stringify(Object.entries(labels))} ${number(value)}`)
    .toSorted()
    .join('; ');
}

describe('expressions of the monitor', () => {
  const window = referenceWindow();

  for (const [text, wanted] of REFERENCE_ANSWERS) {
    it(`gives what Prometheus gives for ${text}`, () => assert.equal(written(answer(text, window)), wanted));
  }

  it('counts a sample at the end of a range and none at its begin, as Prometheus 3 does', () => {
    assert.equal(
      written(answer('count_over_time(g{m="x"}[2m])', window, 10 * MINUTE_MS)),
      '[["m","x"]] 2.00000000',
    );
  });

  const refused: readonly (readonly [string, number, RegExp])[] = [
    ['', 0, /the end of the expression/],
    ['a + ', 4, /the end of the expression/],
    ['a ~ b', 2, /'~ b' was not expected/],
    ['rate(a)', 5, /rate\(\) needs a range/],
    ['a[5m]', 0, /a range needs a function/],
    ['rate(a[0s])', 7, /longer than 0/],
    ['sum(rate(a[5m:1m]))', 9, /rate\(\) needs a range/],
    ['max_over_time(rate(a[1m])[5m:1m])', 14, /needs a range/],
    ['a @ 5', 0, /'@' is not supported/],
    ['topk(3, a)', 0, /'topk' is not supported; there are sum/],
    ['label_replace(a, "b", "c", "d", "e")', 0, /'label_replace' is not supported/],
    ['a * on(b) group_left(c) d', 10, /group_left/],
    ['histogram_quantile(a, b)', 19, /a number is needed/],
    ['sum(1)', 4, /a metric is needed/],
    ['1 and 2', 0, /between metrics/],
    ['1 > 2', 0, /> bool/],
    ['{a=~".*"}', 0, /a label that must not be empty/],
    ['a{b=~"("}', 5, /regular expression is not valid/],
    ['a{b="\\q"}', 4, /escape/],
    ['"text"', 0, /a text is no value/],
    ['a atan2 b', 2, /'atan2' is not supported/],
    ['sum by (a) (b, c)', 11, /takes one operand/],
  ];
  for (const [text, index, problem] of refused) {
    it(`refuses ${text || 'nothing'} and says where`, () => {
      assert.throws(
        () => parseExpression(text),
        (error) => {
          assert.ok(error instanceof SyntaxProblem);
          assert.match(error.message, problem);
          return error.index === index;
        },
      );
    });
  }

  it('refuses what is too long or too deep', () => {
    assert.throws(() => parseExpression(`a${' '.repeat(10_000)}`), /at most 10000 characters/);
    assert.throws(() => parseExpression(`${'('.repeat(60)}a${')'.repeat(60)}`), /nested deeper/);
    assert.throws(() => parseExpression(`a${'+a'.repeat(4_000)}`), SyntaxProblem);
  });

  it('takes or refuses any text, and never fails in another way', () => {
    const word = fc.constantFrom(
      'a',
      'sum',
      'rate',
      'by',
      '(',
      ')',
      '{',
      '}',
      '[5m]',
      '"x"',
      '=~',
      '=',
      ',',
      '+',
      '>',
      '1',
      'on',
      'and',
      '-',
      '^',
      'offset 1m',
      '__proto__',
    );
    const text = fc.oneof(
      fc.string(),
      fc.array(word, { maxLength: 12 }).map((words) => words.join(' ')),
    );
    fc.assert(
      fc.property(text, (candidate) => {
        try {
          answer(candidate, window);
        } catch (error) {
          assert.ok(error instanceof SyntaxProblem || error instanceof EvaluationProblem, String(error));
        }
      }),
      { numRuns: 500 },
    );
  });

  it('is not slowed down by a regular expression', () => {
    const slow = new SampleWindow({ looks: 2, maxSeries: 10 });
    slow.add(`a{b="${'x'.repeat(256)}!"} 1`, 1);
    assert.deepEqual(answer('a{b=~"(x+x+)+y"}', slow, 1), []);
  });

  it('says which series cannot be told apart', () => {
    assert.throws(
      () => answer('sum by (m) (a_total) / on(m) a_total', window),
      /several series on the right side/,
    );
    assert.throws(
      () => answer('rate({__name__=~"a_total|b_total"}[5m])', window),
      /several series have the same labels/,
    );
  });

  it('reads no more samples than it may', () => {
    assert.throws(
      () =>
        evaluate(parseExpression('a_total or a_total'), { source: window, timeMs: 600_000, maxSamples: 4 }),
      /more than 4 samples/,
    );
  });

  it('knows how far back an expression looks', () => {
    assert.equal(lookbackMs(parseExpression('a + rate(b[5m] offset 1m) / sum(c offset 2m)')), 6 * MINUTE_MS);
  });
});

describe('the window of samples', () => {
  it('forgets what is older than its looks, and series with it', () => {
    const window = new SampleWindow({ looks: 3, maxSeries: 10 });
    window.add('a 1\nb 1', 1_000);
    for (const second of [2, 3, 4]) window.add('b 2', second * 1_000);
    assert.deepEqual([window.size, window.oldestMs, window.newestMs], [1, 2_000, 4_000]);
    assert.equal(written(answer('count_over_time(b[1h])', window, 4_000)), '[] 3.00000000');
  });

  it('does not show a series that the newest look did not have', () => {
    const window = new SampleWindow({ looks: 3, maxSeries: 10 });
    window.add('a 1\nb 1', 1_000);
    window.add('b 2', 2_000);
    assert.deepEqual(answer('a', window, 2_000), []);
    assert.equal(written(answer('a offset 1s', window, 2_000)), '[["__name__","a"]] 1.00000000');
  });

  it('shows nothing of the past as the present', () => {
    const window = new SampleWindow({ looks: 3, maxSeries: 10 });
    window.add('a 1', 1_000);
    assert.deepEqual(answer('a', window, 1_000 + 300_001), []);
  });

  it('keeps no more series than it may, and counts the others', () => {
    const window = new SampleWindow({ looks: 3, maxSeries: 2 });
    window.add('a 1\nb 1\nc 1\nd 1', 1_000);
    assert.deepEqual([window.size, window.leftOut], [2, 2]);
  });

  it('begins anew when the clock was set back', () => {
    const window = new SampleWindow({ looks: 3, maxSeries: 10 });
    window.add('a 1', 9_000);
    window.add('a 2', 1_000);
    assert.deepEqual([window.oldestMs, window.newestMs], [1_000, 1_000]);
    assert.equal(written(answer('a', window, 1_000)), '[["__name__","a"]] 2.00000000');
  });

  it('reads labels with any text, and skips what is no sample', () => {
    const window = new SampleWindow({ looks: 3, maxSeries: 10 });
    window.add('# HELP a b\na{b="} 7",c="\\"\\n\\\\"} +Inf 123\nrubbish\n{} 1\nb NaN\nc x\nd', 1_000);
    assert.equal(
      JSON.stringify(answer('{__name__=~".+"}', window, 1_000)[0]?.labels),
      JSON.stringify({ __name__: 'a', b: '} 7', c: '"\n\\' }),
    );
    assert.equal(window.size, 1);
  });
});
