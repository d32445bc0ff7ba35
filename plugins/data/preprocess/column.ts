import { create } from '@bufbuild/protobuf';
import { DataType, type Field, FieldSchema } from 'lamella/proto/lamella/data/v1/dataset';
import { ElementType } from 'lamella/sdk/onnx';
import { ColumnUnknown } from './errors.ts';

/** A column as steps see it. */
export interface Column {
  readonly name: string;
  readonly type: DataType;
  /** Sizes of the dimensions of each row's tensor; empty for a plain value. */
  readonly shape: readonly number[];
  readonly nullable: boolean;
  readonly metadata: Readonly<Record<string, string>>;
}

/** Columns by name, in order. */
export type Columns = ReadonlyMap<string, Column>;

interface TypeFacts {
  readonly sql: string;
  readonly onnx: ElementType;
  readonly isNumeric: boolean;
}

const TYPES: ReadonlyMap<DataType, TypeFacts> = new Map<DataType, TypeFacts>([
  [DataType.BOOL, { sql: 'BOOLEAN', onnx: ElementType.BOOL, isNumeric: true }],
  [DataType.INT8, { sql: 'TINYINT', onnx: ElementType.INT8, isNumeric: true }],
  [DataType.INT16, { sql: 'SMALLINT', onnx: ElementType.INT16, isNumeric: true }],
  [DataType.INT32, { sql: 'INTEGER', onnx: ElementType.INT32, isNumeric: true }],
  [DataType.INT64, { sql: 'BIGINT', onnx: ElementType.INT64, isNumeric: true }],
  [DataType.UINT8, { sql: 'UTINYINT', onnx: ElementType.UINT8, isNumeric: true }],
  [DataType.UINT16, { sql: 'USMALLINT', onnx: ElementType.UINT16, isNumeric: true }],
  [DataType.UINT32, { sql: 'UINTEGER', onnx: ElementType.UINT32, isNumeric: true }],
  [DataType.UINT64, { sql: 'UBIGINT', onnx: ElementType.UINT64, isNumeric: true }],
  [DataType.FLOAT32, { sql: 'FLOAT', onnx: ElementType.FLOAT, isNumeric: true }],
  [DataType.FLOAT64, { sql: 'DOUBLE', onnx: ElementType.DOUBLE, isNumeric: true }],
  [DataType.STRING, { sql: 'VARCHAR', onnx: ElementType.STRING, isNumeric: false }],
]);

/** SQL name of an element type; text for types that no step computes with. */
export function sqlType(type: DataType): string {
  return TYPES.get(type)?.sql ?? 'VARCHAR';
}

/** ONNX element type of a column; `undefined` when ONNX has none. */
export function elementTypeOf(type: DataType): ElementType | undefined {
  return TYPES.get(type)?.onnx;
}

/** Tells whether a step can compute with values of the type. */
export function isNumeric(type: DataType): boolean {
  return TYPES.get(type)?.isNumeric ?? false;
}

/** Tells whether values of the type can be NaN. */
export function isFloat(type: DataType): boolean {
  return type === DataType.FLOAT32 || type === DataType.FLOAT64;
}

/** Number of elements in one row of a column. */
export function elementsIn(column: Column): number {
  return column.shape.reduce((product, size) => product * size, 1);
}

/** Columns of a schema. */
export function columnsOf(fields: readonly Field[]): Columns {
  return new Map(
    fields.map(({ name, type, shape, nullable, metadata }) => [
      name,
      { name, type, shape: shape.map(Number), nullable, metadata },
    ]),
  );
}

/** A column as the field of a schema. */
export function toField({ name, type, shape, nullable, metadata }: Column): Field {
  return create(FieldSchema, { name, type, shape: shape.map(BigInt), nullable, metadata: { ...metadata } });
}

/** Finds a column. @throws COLUMN_UNKNOWN */
export function columnNamed(columns: Columns, name: string): Column {
  const column = columns.get(name);
  if (column === undefined) {
    throw new ColumnUnknown({ column: name, known: [...columns.keys()].slice(0, 50).join(', ') });
  }
  return column;
}
