import type { Column, ColumnValues, RowBatch } from './column.ts';
import { widthOf } from './column.ts';

/** Rows `start` to `end` (not included) of a batch; numeric values stay views. */
export function sliceBatch(batch: RowBatch, start: number, end: number): RowBatch {
  const from = Math.min(Math.max(start, 0), batch.rowCount);
  const to = Math.min(Math.max(end, from), batch.rowCount);
  return {
    rowCount: to - from,
    columns: batch.columns.map((column): Column => {
      const width = widthOf(column.shape);
      return {
        ...column,
        values: sliceValues(column.values, from * width, to * width),
        valid: column.valid?.subarray(from, to),
      };
    }),
  };
}

function sliceValues(values: ColumnValues, start: number, end: number): ColumnValues {
  return 'subarray' in values ? values.subarray(start, end) : values.slice(start, end);
}

/** The named columns of a batch in the order asked; all of them when no name is given. */
export function selectColumns(batch: RowBatch, names: readonly string[]): RowBatch {
  if (names.length === 0) return batch;
  const columns = names.flatMap((name) => batch.columns.filter((column) => column.name === name));
  return { rowCount: batch.rowCount, columns };
}
