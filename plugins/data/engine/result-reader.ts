import type * as duckdb from '@duckdb/node-api';
import { DataType } from 'lamella/proto/lamella/data/v1/dataset';
import {
  type Column,
  type ColumnValues,
  type NumericValues,
  numericArray,
  type RowBatch,
} from 'lamella/sdk/arrow';
import { type ResultType, resultType } from './duckdb-types.ts';

/** A column of a result. */
export interface ResultColumn extends ResultType {
  readonly name: string;
  /** Shape of one value, taken over from the input column where the width is the same. */
  readonly shape: readonly number[];
}

/** Columns of a result. @throws RESULT_TYPE_UNSUPPORTED */
export function resultColumns(
  names: readonly string[],
  types: readonly duckdb.DuckDBType[],
  shapes: ReadonlyMap<string, readonly number[]>,
): ResultColumn[] {
  return names.map((name, index) => {
    const { type, width } = resultType(name, types[index] as duckdb.DuckDBType);
    const known = shapes.get(name);
    const fits = known !== undefined && known.reduce((product, size) => product * size, 1) === width;
    return { name, type, width, shape: width === undefined ? [] : fits ? known : [width] };
  });
}

/** A vector whose values are a typed array. */
interface RawVector {
  readonly items?: NumericValues;
  readonly validity?: { itemValid(index: number): boolean };
}

/** Copies a chunk out of DuckDB's memory as columns. */
export function readChunk(
  api: typeof duckdb,
  chunk: duckdb.DuckDBDataChunk,
  columns: readonly ResultColumn[],
): RowBatch {
  const rowCount = chunk.rowCount;
  return {
    rowCount,
    columns: columns.map((column, index): Column => {
      const vector = chunk.getColumnVector(index);
      const valid = validity(vector as unknown as RawVector, rowCount);
      const values = readValues(api, vector, { column, rowCount });
      return { name: column.name, type: column.type, shape: column.shape, values, valid };
    }),
  };
}

function validity({ validity: bits }: RawVector, rowCount: number): Uint8Array | undefined {
  if (bits === undefined) return undefined;
  const valid = Uint8Array.from({ length: rowCount }, (_, row) => (bits.itemValid(row) ? 1 : 0));
  return valid.includes(0) ? valid : undefined;
}

interface Wanted {
  readonly column: ResultColumn;
  readonly rowCount: number;
}

function readValues(
  api: typeof duckdb,
  vector: duckdb.DuckDBVector,
  { column, rowCount }: Wanted,
): ColumnValues {
  const length = rowCount * (column.width ?? 1);
  const raw = (
    vector instanceof api.DuckDBArrayVector ? Reflect.get(vector, 'childData') : vector
  ) as RawVector;
  const numbers = numericArray(column.type, length);
  if (numbers !== undefined && raw.items !== undefined && raw.items.constructor === numbers.constructor) {
    numbers.set(raw.items.subarray(0, length) as never);
    return numbers;
  }
  if (numbers !== undefined) {
    for (let index = 0; index < length; index += 1) {
      numbers[index] = toNumber(raw as unknown as duckdb.DuckDBVector, index, column.type) as never;
    }
    return numbers;
  }
  const items = Array.from({ length: rowCount }, (_, row) => vector.getItem(row));
  return column.type === DataType.STRING
    ? items.map((item) => (item === null ? '' : String(item)))
    : items.map((item) => (item instanceof api.DuckDBBlobValue ? item.bytes : new Uint8Array()));
}

/** Booleans and times, which DuckDB keeps in forms of its own. */
function toNumber(vector: duckdb.DuckDBVector, index: number, type: DataType): number | bigint {
  const item: unknown = vector.getItem(index);
  if (type === DataType.TIMESTAMP) return (item as { micros?: bigint } | null)?.micros ?? 0n;
  return item === true ? 1 : Number(item ?? 0);
}
