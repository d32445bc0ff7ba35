import { elementSizeBytes, ElementType } from './element-type.ts';
import { ModelMalformed } from './errors.ts';
import type { OnnxTensor } from './model.ts';

/**
 * Makes a float tensor.
 *
 * @param dims - Shape; its product must be the number of values.
 */
export function floatTensor(name: string, dims: readonly number[], values: ArrayLike<number>): OnnxTensor {
  return { name, type: ElementType.FLOAT, dims, rawData: bytesOf(Float32Array.from(values)) };
}

/** Makes an int64 tensor; values must be whole and safe numbers. */
export function int64Tensor(name: string, dims: readonly number[], values: readonly number[]): OnnxTensor {
  return { name, type: ElementType.INT64, dims, rawData: bytesOf(BigInt64Array.from(values.map(BigInt))) };
}

/**
 * Values of a float tensor, as a view where the bytes allow it.
 *
 * @throws MODEL_MALFORMED if it holds another type, or not as many values as its shape says.
 */
export function floatValues(tensor: OnnxTensor): Float32Array {
  if (tensor.type !== ElementType.FLOAT) {
    throw malformed(tensor, `holds type ${tensor.type} where floats are expected`);
  }
  if (tensor.rawData === undefined) {
    return checked(tensor, Float32Array.from(tensor.floatData ?? []));
  }
  const { rawData } = tensor;
  checkRaw(tensor, rawData);
  if (rawData.byteOffset % 4 === 0) {
    return new Float32Array(rawData.buffer, rawData.byteOffset, rawData.byteLength / 4);
  }
  return new Float32Array(rawData.slice().buffer);
}

/**
 * Values of an int32 or int64 tensor as numbers; shapes, axes and indices are always small.
 *
 * @throws MODEL_MALFORMED if it holds another type, or not as many values as its shape says.
 */
export function integerValues(tensor: OnnxTensor): readonly number[] {
  if (tensor.type === ElementType.INT64) {
    return checked(
      tensor,
      tensor.rawData === undefined ? (tensor.int64Data ?? []) : raw64(tensor, tensor.rawData),
    ).map(Number);
  }
  if (tensor.type === ElementType.INT32) {
    return checked(
      tensor,
      tensor.rawData === undefined ? (tensor.int32Data ?? []) : raw32(tensor, tensor.rawData),
    );
  }
  throw malformed(tensor, `holds type ${tensor.type} where whole numbers are expected`);
}

/** Number of elements that the shape of a tensor speaks of. */
export function tensorSize(tensor: OnnxTensor): number {
  return tensor.dims.reduce((product, dimension) => product * dimension, 1);
}

/** Bytes of a typed array, without copying; ONNX wants little-endian, which every platform of Node is. */
export function bytesOf(array: ArrayBufferView): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}

function raw64(tensor: OnnxTensor, bytes: Uint8Array): readonly bigint[] {
  checkRaw(tensor, bytes);
  return [...new BigInt64Array(bytes.slice().buffer)];
}

function raw32(tensor: OnnxTensor, bytes: Uint8Array): readonly number[] {
  checkRaw(tensor, bytes);
  return [...new Int32Array(bytes.slice().buffer)];
}

function checkRaw(tensor: OnnxTensor, bytes: Uint8Array): void {
  const size = elementSizeBytes(tensor.type) ?? 0;
  if (bytes.byteLength !== tensorSize(tensor) * size) {
    throw malformed(
      tensor,
      `has ${bytes.byteLength} bytes of values where its shape asks for ${tensorSize(tensor) * size}`,
    );
  }
}

function checked<Values extends ArrayLike<unknown>>(tensor: OnnxTensor, values: Values): Values {
  if (values.length !== tensorSize(tensor)) {
    throw malformed(tensor, `has ${values.length} values where its shape asks for ${tensorSize(tensor)}`);
  }
  return values;
}

function malformed(tensor: OnnxTensor, what: string): InstanceType<typeof ModelMalformed> {
  return new ModelMalformed({ detail: `tensor '${tensor.name}' ${what}` });
}
