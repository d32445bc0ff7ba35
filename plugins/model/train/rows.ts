import { type Data, type RecordBatch, RecordBatchReader } from 'apache-arrow';
import { isHoldout } from 'lamella/sdk';
import type { OrtElementType } from 'lamella/sdk/ort';
import { ColumnUnusable, DatasetTooLarge } from './errors.ts';
import type { SplitOptions } from './run-options.ts';

/** Numbers of a feature column, as they are stored. */
export type RawNumbers =
  | Float32Array
  | Float64Array
  | Uint8Array
  | Int8Array
  | Uint16Array
  | Int16Array
  | Int32Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array;

/** Rows to train on. */
export interface TrainingRows {
  readonly count: number;
  /** Element type of the features. */
  readonly type: OrtElementType;
  /** Features of all rows, one after the other. */
  readonly features: RawNumbers;
  /** Class of each row. */
  readonly labels: BigInt64Array;
}

/** Which rows are read and how. */
export interface ReadOptions {
  readonly featureColumn: string;
  readonly labelColumn: string;
  readonly classes: number;
  readonly split: SplitOptions;
  /** Numbers of one row. */
  readonly width: number;
  /** Largest size of the features, in MiB. */
  readonly limitMib: number;
}

interface Batch {
  readonly count: number;
  readonly features: RawNumbers;
  readonly labels: BigInt64Array;
}

/**
 * Reads the training part of a dataset version.
 *
 * @param chunks - Arrow IPC in pieces: one stream, or several one after another, with the feature, label and key columns.
 * @throws COLUMN_UNUSABLE if a column is missing, has gaps or holds no numbers.
 * @throws DATASET_TOO_LARGE as soon as the limit is passed.
 */
export async function readTrainingRows(
  chunks: AsyncIterable<Uint8Array>,
  options: ReadOptions,
): Promise<TrainingRows> {
  const batches: Batch[] = [];
  let sizeBytes = 0;
  for await (const reader of RecordBatchReader.readAll(chunks)) {
    for await (const batch of reader) {
      if (batch.numRows === 0) continue;
      const part = trainingPart(batch, options);
      sizeBytes += part.features.byteLength;
      checkSize(sizeBytes, options.limitMib);
      batches.push(part);
    }
  }
  const count = batches.reduce((sum, batch) => sum + batch.count, 0);
  const first = batches[0]?.features ?? new Float32Array(0);
  const features = sameKind(first, count * options.width);
  const labels = new BigInt64Array(count);
  let row = 0;
  for (const batch of batches) {
    copyNumbers(features, batch.features, row * options.width);
    labels.set(batch.labels, row);
    row += batch.count;
  }
  return { count, type: typeOf(features, options.featureColumn), features, labels };
}

/** @throws DATASET_TOO_LARGE if the bytes are more than the limit. */
export function checkSize(sizeBytes: number, limitMib: number): void {
  const sizeMib = Math.ceil(sizeBytes / 2 ** 20);
  if (sizeMib > limitMib) {
    throw new DatasetTooLarge({ sizeMib: String(sizeMib), limitMib: String(limitMib) });
  }
}

function trainingPart(batch: RecordBatch, options: ReadOptions): Batch {
  const { featureColumn, labelColumn, split, width } = options;
  const keys = column(batch, split.keyColumn);
  const labels = column(batch, labelColumn);
  const source = numbersOf(column(batch, featureColumn).data, featureColumn, width);
  const features = sameKind(source, source.length);
  const classes = new BigInt64Array(batch.numRows);
  let count = 0;
  for (let row = 0; row < batch.numRows; row += 1) {
    if (isHoldout(keyOf(keys.get(row), split.keyColumn), split.holdoutShare, split.seed)) {
      continue;
    }
    copyNumbers(features, source.subarray(row * width, (row + 1) * width), count * width);
    classes[count] = classOf(labels.get(row), options);
    count += 1;
  }
  return { count, features: features.slice(0, count * width), labels: classes.slice(0, count) };
}

interface Column {
  readonly data: Data;
  readonly get: (row: number) => unknown;
}

function column(batch: RecordBatch, name: string): Column {
  const vector = batch.getChild(name);
  const data = vector?.data[0];
  if (vector === null || data === undefined) {
    throw new ColumnUnusable({ column: name, detail: 'the dataset does not have it' });
  }
  if (vector.nullCount > 0) {
    throw new ColumnUnusable({
      column: name,
      detail: `it has ${vector.nullCount} missing values in one batch`,
    });
  }
  return { data, get: (row) => vector.get(row) as unknown };
}

/** Values of a plain column, or of the elements of a fixed-size list. */
function numbersOf(data: Data, name: string, width: number): RawNumbers {
  const element = data.children.length === 1 ? data.children[0] : data;
  const values: unknown = element?.values;
  if (!isNumbers(values) || values.length < data.length * width) {
    throw new ColumnUnusable({ column: name, detail: `it does not hold ${width} numbers in each row` });
  }
  if ((element?.nullCount ?? 0) > 0) {
    throw new ColumnUnusable({ column: name, detail: 'its lists have missing numbers' });
  }
  return values.subarray(0, data.length * width);
}

function isNumbers(values: unknown): values is RawNumbers {
  return ArrayBuffer.isView(values) && ELEMENT_TYPES.has(values.constructor.name);
}

const ELEMENT_TYPES: ReadonlyMap<string, OrtElementType> = new Map([
  ['Float32Array', 'float32'],
  ['Float64Array', 'float64'],
  ['Uint8Array', 'uint8'],
  ['Int8Array', 'int8'],
  ['Uint16Array', 'uint16'],
  ['Int16Array', 'int16'],
  ['Int32Array', 'int32'],
  ['Uint32Array', 'uint32'],
  ['BigInt64Array', 'int64'],
  ['BigUint64Array', 'uint64'],
]);

function typeOf(values: RawNumbers, name: string): OrtElementType {
  const type = ELEMENT_TYPES.get(values.constructor.name);
  if (type === undefined) {
    throw new ColumnUnusable({ column: name, detail: 'it does not hold numbers' });
  }
  return type;
}

/** An empty array of the same kind. */
function sameKind(like: RawNumbers, length: number): RawNumbers {
  // Every kind of typed array has this constructor; their union has no call signature in common.
  const Kind = like.constructor as new (length: number) => RawNumbers;
  return new Kind(length);
}

/** Copies between arrays of one kind, byte by byte, since big and plain integers cannot be mixed in the type system. */
function copyNumbers(target: RawNumbers, source: RawNumbers, offset: number): void {
  const bytes = new Uint8Array(target.buffer, target.byteOffset, target.byteLength);
  bytes.set(
    new Uint8Array(source.buffer, source.byteOffset, source.byteLength),
    offset * target.BYTES_PER_ELEMENT,
  );
}

function keyOf(value: unknown, name: string): bigint | number | string {
  if (typeof value === 'bigint' || typeof value === 'number' || typeof value === 'string') {
    return value;
  }
  throw new ColumnUnusable({ column: name, detail: 'a key must be a number or a text' });
}

function classOf(value: unknown, { labelColumn, classes }: ReadOptions): bigint {
  const number = typeof value === 'bigint' ? Number(value) : value;
  if (typeof number !== 'number' || !Number.isInteger(number) || number < 0 || number >= classes) {
    throw new ColumnUnusable({
      column: labelColumn,
      detail: `${String(value)} is not a class from 0 to ${classes - 1}`,
    });
  }
  return BigInt(number);
}
