import type * as duckdb from '@duckdb/node-api';
import { DataType } from 'lamella/proto/lamella/data/v1/dataset';
import { ResultTypeUnsupported } from './errors.ts';

/** Our scalar types by DuckDB's names, in both directions. */
const NAMES: readonly (readonly [DataType, string])[] = [
  [DataType.BOOL, 'BOOLEAN'],
  [DataType.INT8, 'TINYINT'],
  [DataType.INT16, 'SMALLINT'],
  [DataType.INT32, 'INTEGER'],
  [DataType.INT64, 'BIGINT'],
  [DataType.UINT8, 'UTINYINT'],
  [DataType.UINT16, 'USMALLINT'],
  [DataType.UINT32, 'UINTEGER'],
  [DataType.UINT64, 'UBIGINT'],
  [DataType.FLOAT32, 'FLOAT'],
  [DataType.FLOAT64, 'DOUBLE'],
  [DataType.STRING, 'VARCHAR'],
  [DataType.BINARY, 'BLOB'],
  [DataType.TIMESTAMP, 'TIMESTAMP'],
];

/** DuckDB type of a column; a shaped column is an array of its product. */
export function typeName(type: DataType, width: number | undefined): string {
  const name = NAMES.find(([known]) => known === type)?.[1] ?? 'VARCHAR';
  return width === undefined ? name : `${name}[${width}]`;
}

/** Type of a result column. */
export interface ResultType {
  readonly type: DataType;
  /** Values a row has, for a vector column. */
  readonly width: number | undefined;
}

/**
 * Our type for a DuckDB type.
 *
 * @throws RESULT_TYPE_UNSUPPORTED
 */
export function resultType(column: string, type: duckdb.DuckDBType): ResultType {
  const [, scalar = '', width] = /^([A-Z]+)(?:\[(\d+)\])?$/.exec(String(type)) ?? [];
  const known = NAMES.find(([, name]) => name === scalar)?.[0];
  if (known === undefined) throw new ResultTypeUnsupported({ column, type: String(type) });
  return { type: known, width: width === undefined ? undefined : Number(width) };
}
