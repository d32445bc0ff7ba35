import type { InferTensorContents, ModelInferResponse } from 'lamella/proto/inference/grpc_inference_service';

/** Elements of one output that are looked at; bytes that are equal need no look. */
const MAX_ELEMENTS = 100_000;

type Reader = (view: DataView, offset: number) => number | bigint;

const READERS: Readonly<Record<string, { readonly bytes: number; readonly read: Reader }>> = {
  BOOL: { bytes: 1, read: (view, offset) => view.getUint8(offset) },
  UINT8: { bytes: 1, read: (view, offset) => view.getUint8(offset) },
  UINT16: { bytes: 2, read: (view, offset) => view.getUint16(offset, true) },
  UINT32: { bytes: 4, read: (view, offset) => view.getUint32(offset, true) },
  UINT64: { bytes: 8, read: (view, offset) => view.getBigUint64(offset, true) },
  INT8: { bytes: 1, read: (view, offset) => view.getInt8(offset) },
  INT16: { bytes: 2, read: (view, offset) => view.getInt16(offset, true) },
  INT32: { bytes: 4, read: (view, offset) => view.getInt32(offset, true) },
  INT64: { bytes: 8, read: (view, offset) => view.getBigInt64(offset, true) },
  FP16: { bytes: 2, read: (view, offset) => halfValue(view.getUint16(offset, true)) },
  BF16: { bytes: 2, read: (view, offset) => bfloatValue(view.getUint16(offset, true)) },
  FP32: { bytes: 4, read: (view, offset) => view.getFloat32(offset, true) },
  FP64: { bytes: 8, read: (view, offset) => view.getFloat64(offset, true) },
};

/** A number of 16 bits by IEEE 754: 1 bit sign, 5 bits exponent, 10 bits fraction. */
function halfValue(bits: number): number {
  const sign = bits >> 15 === 0 ? 1 : -1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
  return sign * (1 + fraction / 1_024) * 2 ** (exponent - 15);
}

/** The upper half of a number of 32 bits. */
function bfloatValue(bits: number): number {
  const view = new DataView(new ArrayBuffer(4));
  view.setUint32(0, bits << 16);
  return view.getFloat32(0);
}

/** One output as it can be compared: its bytes, or its values where the server sends them typed. */
export interface ComparableOutput {
  readonly name: string;
  readonly datatype: string;
  readonly shape: string;
  readonly raw: Uint8Array | undefined;
  readonly typed: readonly unknown[] | undefined;
}

/** Outputs of an answer. */
export function outputsOf({ outputs, rawOutputContents }: ModelInferResponse): ComparableOutput[] {
  return outputs.map(({ name, datatype, shape, contents }, index) => ({
    name,
    datatype,
    shape: shape.join(','),
    raw: rawOutputContents[index],
    typed: contents === undefined ? undefined : valuesOf(contents),
  }));
}

function valuesOf(contents: InferTensorContents): readonly unknown[] {
  const lists: readonly (readonly unknown[])[] = [
    contents.fp32Contents,
    contents.fp64Contents,
    contents.intContents,
    contents.int64Contents,
    contents.uintContents,
    contents.uint64Contents,
    contents.boolContents.map(Number),
    contents.bytesContents,
  ];
  return lists.find((list) => list.length > 0) ?? [];
}

/** Numbers of an output; `undefined` where it holds none, as BYTES. */
export function numbersOf({ datatype, raw, typed }: ComparableOutput): readonly number[] | undefined {
  const reader = READERS[datatype];
  if (reader === undefined) return undefined;
  if (typed !== undefined) return typed.slice(0, MAX_ELEMENTS).map(Number);
  const view = new DataView(raw?.buffer ?? new ArrayBuffer(0), raw?.byteOffset ?? 0, raw?.byteLength ?? 0);
  const count = Math.min(MAX_ELEMENTS, Math.floor(view.byteLength / reader.bytes));
  return Array.from({ length: count }, (_, index) => Number(reader.read(view, index * reader.bytes)));
}
