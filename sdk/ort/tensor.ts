import { TensorInvalid } from './errors.ts';

/** Element types that ONNX Runtime for Node takes and gives; `float16` travels as the bit patterns of its values. */
export type OrtElementType =
  | 'float32'
  | 'uint8'
  | 'int8'
  | 'uint16'
  | 'int16'
  | 'int32'
  | 'int64'
  | 'string'
  | 'bool'
  | 'float16'
  | 'float64'
  | 'uint32'
  | 'uint64';

/** Values of a tensor, row-major: one array type for each element type. */
export type OrtData =
  | Float32Array
  | Float64Array
  | Uint8Array
  | Int8Array
  | Uint16Array
  | Int16Array
  | Int32Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array
  | readonly string[];

/** One tensor. */
export interface OrtTensor {
  /** Element type. */
  readonly type: OrtElementType;
  /** Sizes of the dimensions, none of them negative; empty for a scalar. */
  readonly dims: readonly number[];
  /** Values: `Uint8Array` for `bool`, `Uint16Array` for `float16`, strings for `string`. */
  readonly data: OrtData;
}

/** Tensors by name. */
export type OrtTensors = Readonly<Record<string, OrtTensor>>;

/** One input or output of a session. */
export interface OrtPort {
  /** Name. */
  readonly name: string;
  /** Element type. */
  readonly type: OrtElementType;
  /** Sizes of the dimensions; -1 where the size is variable. */
  readonly dims: readonly number[];
}

type NumberArray = Exclude<OrtData, readonly string[]>;
type NumberArrayType = new (buffer: ArrayBufferLike, byteOffset: number, length: number) => NumberArray;

interface ElementInfo {
  readonly type: OrtElementType;
  readonly sizeBytes: number;
  readonly array: NumberArrayType;
}

// The order is ours, not ONNX's: an index of this list is the type byte of a frame.
const ELEMENTS: readonly ElementInfo[] = [
  { type: 'float32', sizeBytes: 4, array: Float32Array },
  { type: 'uint8', sizeBytes: 1, array: Uint8Array },
  { type: 'int8', sizeBytes: 1, array: Int8Array },
  { type: 'uint16', sizeBytes: 2, array: Uint16Array },
  { type: 'int16', sizeBytes: 2, array: Int16Array },
  { type: 'int32', sizeBytes: 4, array: Int32Array },
  { type: 'int64', sizeBytes: 8, array: BigInt64Array },
  { type: 'string', sizeBytes: 0, array: Uint8Array },
  { type: 'bool', sizeBytes: 1, array: Uint8Array },
  { type: 'float16', sizeBytes: 2, array: Uint16Array },
  { type: 'float64', sizeBytes: 8, array: Float64Array },
  { type: 'uint32', sizeBytes: 4, array: Uint32Array },
  { type: 'uint64', sizeBytes: 8, array: BigUint64Array },
];

const INDEX_BY_TYPE: ReadonlyMap<string, number> = new Map(
  ELEMENTS.map((element, index) => [element.type, index]),
);

/** Number of a type in a frame; `undefined` for a type that no tensor here can have. */
export function elementIndex(type: string): number | undefined {
  return INDEX_BY_TYPE.get(type);
}

/** Type of a number in a frame. @throws RangeError if there is none, which means a damaged frame. */
export function elementAt(index: number): ElementInfo {
  const element = ELEMENTS[index];
  if (element === undefined) throw new RangeError(`There is no element type ${index}.`);
  return element;
}

/** Bytes of one element; 0 for strings, whose size varies; `undefined` for an unknown type. */
export function elementSize(type: string): number | undefined {
  const index = INDEX_BY_TYPE.get(type);
  return index === undefined ? undefined : ELEMENTS[index]?.sizeBytes;
}

/**
 * Values of a numeric tensor over existing bytes, without a copy where they are aligned.
 *
 * @throws RangeError if the bytes are no whole number of elements.
 */
export function numberView(type: OrtElementType, bytes: Uint8Array): NumberArray {
  const element = elementAt(INDEX_BY_TYPE.get(type) ?? -1);
  const size = element.sizeBytes;
  if (size === 0) throw new RangeError('A string tensor has no numbers.');
  if (bytes.byteLength % size !== 0)
    throw new RangeError(`${bytes.byteLength} bytes are no whole number of ${type}.`);
  // A typed array must start at a multiple of its element size, so unaligned bytes are moved once.
  const aligned = bytes.byteOffset % size === 0 ? bytes : new Uint8Array(bytes);
  return new element.array(aligned.buffer, aligned.byteOffset, aligned.byteLength / size);
}

/** Number of elements of a shape. */
export function elementsOf(dims: readonly number[]): number {
  let count = 1;
  for (const dim of dims) count *= dim;
  return count;
}

/** Checks that a tensor is whole. @throws ORT_TENSOR_INVALID naming the tensor and what is wrong. */
export function checkTensor(name: string, tensor: OrtTensor): void {
  const index = INDEX_BY_TYPE.get(tensor.type);
  if (index === undefined)
    throw new TensorInvalid({ name, problem: `the element type '${tensor.type}' is not known` });
  if (!tensor.dims.every((dim) => Number.isSafeInteger(dim) && dim >= 0)) {
    throw new TensorInvalid({
      name,
      problem: `the shape [${tensor.dims.join(',')}] has a size that is no count`,
    });
  }
  const isText = Array.isArray(tensor.data);
  const fits = tensor.type === 'string' ? isText : tensor.data instanceof elementAt(index).array;
  if (!fits)
    throw new TensorInvalid({ name, problem: `the values are not of the array type of '${tensor.type}'` });
  if (tensor.data.length !== elementsOf(tensor.dims)) {
    const problem = `the shape [${tensor.dims.join(',')}] does not hold ${tensor.data.length} values`;
    throw new TensorInvalid({ name, problem });
  }
}
