import type * as duckdb from '@duckdb/node-api';
import type { Schema } from 'lamella/proto/lamella/data/v1/dataset';
import { DataType } from 'lamella/proto/lamella/data/v1/dataset';
import { identifier } from 'lamella/sdk';
import { type Column, type NumericValues, type RowBatch, widthOf } from 'lamella/sdk/arrow';
import { typeName } from './duckdb-types.ts';

/** Rows of one DuckDB data chunk. */
const CHUNK_ROWS = 2_048;

/** A DuckDB vector whose values are a typed array; the package's types keep it private. */
interface RawVector {
  readonly items: NumericValues;
  flush(): void;
}

/** Creates an empty table for a schema. */
export function createTableSql(table: string, schema: Schema): string {
  const columns = schema.fields.map(({ name, type, shape }) => {
    return `${identifier(name)} ${typeName(type, shape.length === 0 ? undefined : widthOf(shape))}`;
  });
  return `CREATE TABLE ${identifier(table)} (${columns.join(', ')})`;
}

/** Appends batches to a table chunk by chunk; numbers are copied as whole arrays, never value by value. */
export class TableLoader {
  readonly #api: typeof duckdb;
  readonly #appender: duckdb.DuckDBAppender;
  readonly #types: readonly duckdb.DuckDBType[];

  constructor(api: typeof duckdb, appender: duckdb.DuckDBAppender) {
    this.#api = api;
    this.#appender = appender;
    this.#types = Array.from({ length: appender.columnCount }, (_, index) => appender.columnType(index));
  }

  append(batch: RowBatch): void {
    for (let start = 0; start < batch.rowCount; start += CHUNK_ROWS) {
      const rows = Math.min(CHUNK_ROWS, batch.rowCount - start);
      const chunk = this.#api.DuckDBDataChunk.create(this.#types, rows);
      batch.columns.forEach((column, index) => fill(this.#api, chunk, { column, index, start, rows }));
      this.#appender.appendDataChunk(chunk);
    }
  }
}

interface Part {
  readonly column: Column;
  readonly index: number;
  readonly start: number;
  readonly rows: number;
}

function fill(api: typeof duckdb, chunk: duckdb.DuckDBDataChunk, { column, index, start, rows }: Part): void {
  const isPlain = column.valid === undefined && PLAIN.has(column.type);
  if (!isPlain) {
    chunk.setColumnValues(index, scalarValues(api, column, { start, rows }));
    return;
  }
  const width = column.shape.length === 0 ? 1 : widthOf(column.shape);
  const vector = chunk.getColumnVector(index);
  const raw = (
    vector instanceof api.DuckDBArrayVector ? Reflect.get(vector, 'childData') : vector
  ) as RawVector;
  const values = (column.values as NumericValues).subarray(start * width, (start + rows) * width);
  raw.items.set(values as never);
  (vector as unknown as RawVector).flush();
}

/** Types whose DuckDB vectors are plain arrays of the same numbers. */
const PLAIN: ReadonlySet<DataType> = new Set([
  DataType.INT8,
  DataType.INT16,
  DataType.INT32,
  DataType.INT64,
  DataType.UINT8,
  DataType.UINT16,
  DataType.UINT32,
  DataType.UINT64,
  DataType.FLOAT32,
  DataType.FLOAT64,
]);

/** Values one by one, for texts, byte strings, booleans, times and columns with missing values. */
function scalarValues(
  api: typeof duckdb,
  column: Column,
  { start, rows }: { readonly start: number; readonly rows: number },
): duckdb.DuckDBValue[] {
  const width = column.shape.length === 0 ? undefined : widthOf(column.shape);
  return Array.from({ length: rows }, (_, offset) => {
    const row = start + offset;
    if (column.valid?.[row] === 0) return null;
    if (width === undefined) return toValue(api, column.type, column.values[row]);
    const items = Array.from({ length: width }, (_item, index) =>
      toValue(api, column.type, column.values[row * width + index]),
    );
    return api.arrayValue(items);
  });
}

function toValue(
  api: typeof duckdb,
  type: DataType,
  value: string | number | bigint | Uint8Array | undefined,
): duckdb.DuckDBValue {
  if (value === undefined) return null;
  if (type === DataType.BOOL) return value !== 0;
  if (type === DataType.TIMESTAMP) return new api.DuckDBTimestampValue(BigInt(value as bigint));
  return value instanceof Uint8Array ? api.blobValue(value) : value;
}
