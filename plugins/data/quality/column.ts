import { identifier } from 'lamella/sdk';
import { DataType, type Field } from 'lamella/proto/lamella/data/v1/dataset';
import { ColumnUnknown, TooMany } from './errors.ts';

/** Columns by name, in order. */
export type Columns = ReadonlyMap<string, Field>;

const MAX_COLUMNS = 1_000;

const NUMBERS: ReadonlySet<DataType> = new Set<DataType>([
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

/** Finds a column. @throws COLUMN_UNKNOWN */
export function columnNamed(columns: Columns, name: string): Field {
  const column = columns.get(name);
  if (column === undefined) {
    throw new ColumnUnknown({ column: name, known: [...columns.keys()].slice(0, 50).join(', ') });
  }
  return column;
}

/** Finds columns; none named means all. @throws COLUMN_UNKNOWN TOO_MANY */
export function columnsNamed(columns: Columns, names: readonly string[]): readonly Field[] {
  const found = names.length === 0 ? [...columns.values()] : names.map((name) => columnNamed(columns, name));
  if (found.length > MAX_COLUMNS) {
    throw new TooMany({ what: 'columns', count: String(found.length), maximum: String(MAX_COLUMNS) });
  }
  return found;
}

/** Tells whether a column holds numbers, one or several a row. */
export function isNumber(column: Field): boolean {
  return NUMBERS.has(column.type);
}

/** Tells whether a column holds plain numbers. */
export function isPlainNumber(column: Field): boolean {
  return isNumber(column) && column.shape.length === 0;
}

/** Tells whether the values of a column read as text. */
export function isReadable(column: Field): boolean {
  return column.shape.length === 0 && column.type !== DataType.BINARY;
}

/** SQL condition that a value is there: neither NULL nor, as a plain number, NaN. */
export function isPresent(column: Field): string {
  const name = identifier(column.name);
  const isFloat = column.type === DataType.FLOAT32 || column.type === DataType.FLOAT64;
  return isFloat && column.shape.length === 0
    ? `(${name} IS NOT NULL AND NOT isnan(${name}))`
    : `(${name} IS NOT NULL)`;
}
