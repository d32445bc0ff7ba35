import { type DataType, DataType as Type } from '../../proto/gen/lamella/data/v1/dataset_pb.ts';

/** Values of a numeric column. */
export type NumericValues =
  | Int8Array
  | Int16Array
  | Int32Array
  | BigInt64Array
  | Uint8Array
  | Uint16Array
  | Uint32Array
  | BigUint64Array
  | Float32Array
  | Float64Array;

/** Values of a column: numbers (also of vectors, laid out one row after another), texts, or byte strings. */
export type ColumnValues = NumericValues | readonly string[] | readonly Uint8Array[];

/** One column of a batch. */
export interface Column {
  readonly name: string;
  readonly type: DataType;
  /** Shape of one value; empty for a scalar, `[28, 28]` for an image. */
  readonly shape: readonly number[];
  /** Row-major values; `rowCount * product(shape)` of them. */
  readonly values: ColumnValues;
  /** One entry a row, 0 where the value is missing; `undefined` when none is. */
  readonly valid?: Uint8Array | undefined;
}

/** Rows as columns. */
export interface RowBatch {
  readonly rowCount: number;
  readonly columns: readonly Column[];
}

type NumericConstructor = new (length: number) => NumericValues;

const CONSTRUCTORS: ReadonlyMap<DataType, NumericConstructor> = new Map<DataType, NumericConstructor>([
  [Type.BOOL, Uint8Array],
  [Type.INT8, Int8Array],
  [Type.INT16, Int16Array],
  [Type.INT32, Int32Array],
  [Type.INT64, BigInt64Array],
  [Type.UINT8, Uint8Array],
  [Type.UINT16, Uint16Array],
  [Type.UINT32, Uint32Array],
  [Type.UINT64, BigUint64Array],
  [Type.FLOAT32, Float32Array],
  [Type.FLOAT64, Float64Array],
  [Type.TIMESTAMP, BigInt64Array],
]);

/**
 * A zeroed array for values of a numeric type; booleans take one byte each, timestamps are microseconds since the
 * epoch.
 *
 * @returns `undefined` for texts and byte strings.
 */
export function numericArray(type: DataType, length: number): NumericValues | undefined {
  const constructor = CONSTRUCTORS.get(type);
  return constructor === undefined ? undefined : new constructor(length);
}

/** Number of values in one row of a column. */
export function widthOf(shape: readonly (number | bigint)[]): number {
  return shape.reduce<number>((product, size) => product * Number(size), 1);
}
