import Table from 'cli-table3';
import type { DigitsReport } from '../../examples/digits/digits-report.ts';
import { PLAIN, tableText } from './plugin-table.ts';

/** The figures of the digits example as a table for a terminal of 80 columns. */
export function digitsTable(report: DigitsReport): string {
  const table = new Table({ style: { head: [], border: [], compact: true }, chars: PLAIN });
  table.push(
    ['rows', count(report.rows)],
    ['hold-out rows', count(report.holdoutRows)],
    ['accuracy', `${(report.accuracy * 100).toFixed(2)} %`],
    ['training', `${count(report.samplesPerSecond)} samples/s`],
    ['model', `${report.modelVersion}, ${(report.modelSizeBytes / 1024).toFixed(1)} KiB`],
    ...report.stages.map(({ name, durationMs }) => [`time: ${name}`, `${(durationMs / 1000).toFixed(2)} s`]),
    ['time: all', `${(report.durationMs / 1000).toFixed(2)} s`],
  );
  return `\n${tableText(table)}\n`;
}

function count(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}
