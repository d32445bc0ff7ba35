import assert from 'node:assert/strict';
import { digitsTable } from '../../kernel/cli/digits-table.ts';
import { StageLines } from '../../kernel/cli/stage-lines.ts';
import type { Terminal } from '../../kernel/cli/terminal.ts';

function terminal(lines: string[], isInteractive: boolean): Terminal {
  return {
    out: (line) => lines.push(line),
    err: () => assert.fail('stages do not belong on stderr here'),
    isInteractive,
    environment: {},
    exit: () => undefined,
  };
}

describe('stages on the command line', () => {
  for (const isInteractive of [false, true]) {
    it(`are one line each when they are done${isInteractive ? ', also after a bar' : ''}`, () => {
      const lines: string[] = [];
      const stages = new StageLines(terminal(lines, isInteractive));
      stages.started('collect');
      stages.progress('collect', { done: 1, total: 0, unit: 'rows' });
      stages.progress('collect', { done: 50, total: 100, unit: 'rows' });
      stages.done('collect', '100 rows', 1234);
      stages.started('train');
      stages.failed('train', 'no memory');
      assert.deepEqual(lines, ['collect       1.23 s  100 rows', 'train         failed  no memory']);
    });
  }

  it('end with a table that fits 80 columns', () => {
    const table = digitsTable({
      wasInPlace: false,
      rows: 10_000,
      holdoutRows: 1987,
      accuracy: 0.91_234,
      samplesPerSecond: 123_456.7,
      modelSizeBytes: 32_768,
      modelVersion: 'models/digits/versions/1',
      datasetVersion: 'datasets/digits/versions/abc',
      stages: [{ name: 'train', durationMs: 1500 }],
      durationMs: 4000,
    });
    const rows = table
      .trim()
      .split('\n')
      .map((line) => line.trim().split(/ {2,}/));
    assert.deepEqual(rows, [
      ['rows', '10,000'],
      ['hold-out rows', '1,987'],
      ['accuracy', '91.23 %'],
      ['training', '123,457 samples/s'],
      ['model', 'models/digits/versions/1, 32.0 KiB'],
      ['time: train', '1.50 s'],
      ['time: all', '4.00 s'],
    ]);
    assert.ok(table.split('\n').every((line) => line.length <= 80));
  });
});
