import { identifier } from 'lamella/sdk';
import { DataType, type Field } from 'lamella/proto/lamella/data/v1/dataset';
import { ColumnUnknown, StepArgumentsInvalid } from './errors.ts';

/** Columns by name, in order. */
export type Columns = ReadonlyMap<string, Field>;

const NUMBERS: ReadonlyMap<DataType, string> = new Map<DataType, string>([
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
]);

/** Finds a column. @throws COLUMN_UNKNOWN */
export function columnNamed(columns: Columns, name: string): Field {
  const column = columns.get(name);
  if (column === undefined) {
    throw new ColumnUnknown({ column: name, known: [...columns.keys()].slice(0, 50).join(', ') });
  }
  return column;
}

/** Finds columns; none named means all. @throws COLUMN_UNKNOWN */
export function columnsNamed(columns: Columns, names: readonly string[]): readonly Field[] {
  return names.length === 0 ? [...columns.values()] : names.map((name) => columnNamed(columns, name));
}

/** SQL name of a number type. @throws STEP_ARGUMENTS_INVALID if the column holds something else. */
export function numberType(step: string, column: Field): string {
  const type = NUMBERS.get(column.type);
  if (type === undefined) {
    throw new StepArgumentsInvalid({ step, detail: `column '${column.name}' does not hold numbers` });
  }
  return type;
}

/** Tells whether the values can be NaN. */
export function isFloat(column: Field): boolean {
  return column.type === DataType.FLOAT32 || column.type === DataType.FLOAT64;
}

/** Tells whether a column holds numbers. */
export function isNumber(column: Field): boolean {
  return NUMBERS.has(column.type);
}

/** SQL condition that a plain value, or any element of a tensor, is missing. */
export function isMissing(column: Field): string {
  const name = identifier(column.name);
  if (!isFloat(column)) return `${name} IS NULL`;
  const isNan =
    column.shape.length === 0 ? `isnan(${name})` : `len(list_filter(${name}, lambda x: isnan(x))) > 0`;
  return `(${name} IS NULL OR ${isNan})`;
}
