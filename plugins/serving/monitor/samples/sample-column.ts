import { DataType } from 'lamella/proto/lamella/data/v1/dataset';
import type { SampleTensor } from 'lamella/proto/lamella/serving/v1/sample_service';
import { type Column, numericArray, type NumericValues, widthOf } from 'lamella/sdk/arrow';

/** Types of the protocol as those of datasets; half precision is kept in single precision, which holds it exactly. */
const TYPES: ReadonlyMap<string, DataType> = new Map([
  ['BOOL', DataType.BOOL],
  ['INT8', DataType.INT8],
  ['INT16', DataType.INT16],
  ['INT32', DataType.INT32],
  ['INT64', DataType.INT64],
  ['UINT8', DataType.UINT8],
  ['UINT16', DataType.UINT16],
  ['UINT32', DataType.UINT32],
  ['UINT64', DataType.UINT64],
  ['FP16', DataType.FLOAT32],
  ['FP32', DataType.FLOAT32],
  ['FP64', DataType.FLOAT64],
]);

/** What is known of a column before its values. */
export type ColumnHead = Pick<Column, 'name' | 'type' | 'shape'>;

/**
 * The column that holds a tensor, one row of the request in each of its rows: numbers of fixed shape as they are, single
 * texts as text, and all else as JSON text, since columns have one shape.
 */
export function columnHead(prefix: string, tensor: SampleTensor): ColumnHead {
  const name = `${prefix}.${tensor.name}`;
  const type = TYPES.get(tensor.datatype);
  if (type === undefined || !tensor.isFixed) return { name, type: DataType.STRING, shape: [] };
  const shape = rowShape(tensor);
  return { name, type, shape: widthOf(shape) === 1 ? [] : shape };
}

/** Shape of one row. */
function rowShape({ hasRows, shape }: SampleTensor): number[] {
  return shape.slice(hasRows ? 1 : 0).map(Number);
}

/** The values of a tensor for its column; `undefined` when they were left out or are not what the shape says. */
export function columnValues(tensor: SampleTensor, rows: number): Column['values'] | undefined {
  if (tensor.isLeftOut) return undefined;
  const width = widthOf(rowShape(tensor));
  const count = rows * width;
  const values = tensor.datatype === 'BYTES' ? texts(tensor.contents) : numbers(tensor, count);
  if (values === undefined || values.length !== count) return undefined;
  if (tensor.isFixed && (width === 1 || tensor.datatype !== 'BYTES')) return values;
  return Array.from({ length: rows }, (_, row) => {
    const data = Array.from(values.slice(row * width, (row + 1) * width) as ArrayLike<unknown>, plain);
    return JSON.stringify({ shape: rowShape(tensor), data });
  });
}

function plain(value: unknown): unknown {
  // JSON has no 64-bit integers; as text they keep their digits.
  return typeof value === 'bigint' ? String(value) : value;
}

function numbers({ contents, datatype }: SampleTensor, count: number): NumericValues | undefined {
  if (datatype === 'FP16') return halves(contents);
  const values = numericArray(TYPES.get(datatype) ?? DataType.BINARY, count);
  if (values === undefined || values.byteLength !== contents.byteLength) return undefined;
  new Uint8Array(values.buffer).set(contents);
  return values;
}

function halves(contents: Uint8Array): Float32Array {
  const view = new DataView(contents.buffer, contents.byteOffset, contents.byteLength);
  return Float32Array.from({ length: contents.byteLength >> 1 }, (_, index) =>
    half(view.getUint16(index * 2, true)),
  );
}

function half(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0x1f) return fraction === 0 ? sign * Infinity : Number.NaN;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return sign * (1 + fraction / 1_024) * 2 ** (exponent - 15);
}

function texts(contents: Uint8Array): string[] {
  const view = new DataView(contents.buffer, contents.byteOffset, contents.byteLength);
  const decoder = new TextDecoder();
  const elements: string[] = [];
  for (let offset = 0; offset + 4 <= contents.byteLength;) {
    const end = offset + 4 + view.getUint32(offset, true);
    elements.push(decoder.decode(contents.subarray(offset + 4, end)));
    offset = end;
  }
  return elements;
}
