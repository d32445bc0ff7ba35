/**
 * Element types of ONNX tensors by name.
 *
 * @remarks Numbers are `TensorProto.DataType` of onnx/onnx: onnx/onnx.proto.
 */
export const ElementType = {
  UNDEFINED: 0,
  FLOAT: 1,
  UINT8: 2,
  INT8: 3,
  UINT16: 4,
  INT16: 5,
  INT32: 6,
  INT64: 7,
  STRING: 8,
  BOOL: 9,
  FLOAT16: 10,
  DOUBLE: 11,
  UINT32: 12,
  UINT64: 13,
  BFLOAT16: 16,
} as const;

/** Number of an element type as it stands in a model; newer types than those listed pass through. */
export type ElementType = number;

const SIZES: Readonly<Record<number, number>> = {
  1: 4,
  2: 1,
  3: 1,
  4: 2,
  5: 2,
  6: 4,
  7: 8,
  9: 1,
  10: 2,
  11: 8,
  12: 4,
  13: 8,
  16: 2,
};

/** Bytes of one element; `undefined` for strings, packed 4-bit types and types unknown here. */
export function elementSizeBytes(type: ElementType): number | undefined {
  return SIZES[type];
}

/** Name of an element type for messages, for example `FLOAT`; the number itself when it has no name here. */
export function elementTypeName(type: ElementType): string {
  return Object.entries(ElementType).find(([, number]) => number === type)?.[0] ?? String(type);
}

/** Tells whether values of the type are floating-point numbers, so that they can have gradients. */
export function isFloatType(type: ElementType): boolean {
  return (
    type === ElementType.FLOAT ||
    type === ElementType.DOUBLE ||
    type === ElementType.FLOAT16 ||
    type === ElementType.BFLOAT16
  );
}
