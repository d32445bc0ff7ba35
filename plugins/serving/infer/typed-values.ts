import type { OrtData } from 'lamella/sdk/ort';
import { elementText } from './bytes-tensor.ts';
import type { Datatype } from './datatype.ts';
import { RequestInvalid, sizeMismatch } from './errors.ts';

/** One value of a list. */
export type TypedValue = number | bigint | boolean | string | Uint8Array;

/** Values in a list, as typed contents of gRPC and JSON of REST give them, or as the array that is wanted already. */
export type TypedValues = readonly TypedValue[] | Float32Array | Float64Array;

/** One list and what it should be. */
export interface TypedContent {
  /** Input, for messages. */
  readonly name: string;
  /** Model, for messages. */
  readonly model: string;
  /** What the model takes. */
  readonly datatype: Datatype;
  /** Elements of the shape. */
  readonly count: number;
  /** The list. */
  readonly values: TypedValues;
}

type NumberKind = 'float32' | 'float64' | 'uint8' | 'int8' | 'uint16' | 'int16' | 'int32' | 'uint32';

const NUMBER_ARRAYS = {
  float32: Float32Array,
  float64: Float64Array,
  uint8: Uint8Array,
  int8: Int8Array,
  uint16: Uint16Array,
  int16: Int16Array,
  int32: Int32Array,
  uint32: Uint32Array,
} as const;

/** Turns a list into the array of the data type. @throws REQUEST_INVALID for values of another kind or another count. */
export function typedData(content: TypedContent): OrtData {
  const { name, model, datatype, count, values } = content;
  if (values.length !== count) {
    throw sizeMismatch({ name, model, expected: count, got: values.length, unit: 'elements' });
  }
  if (isList(values)) return fromList(values, content);
  const { element } = datatype;
  const isFloat = element === 'float32' || element === 'float64';
  if (isFloat && values instanceof NUMBER_ARRAYS[element]) return values;
  throw wrongKind(content, 'values of its own type');
}

function isList(values: TypedValues): values is readonly TypedValue[] {
  return Array.isArray(values);
}

function fromList(values: readonly TypedValue[], content: TypedContent): OrtData {
  const { name, model, datatype } = content;
  switch (datatype.element) {
    case 'string':
      return values.map((value) => text(value, content));
    case 'bool':
      return Uint8Array.from(values, (value) => (truth(value, content) ? 1 : 0));
    case 'int64':
      return BigInt64Array.from(values, (value) => integer(value, content));
    case 'uint64':
      return BigUint64Array.from(values, (value) => integer(value, content));
    case 'float16':
      throw new RequestInvalid({
        problem: `FP16 data of input '${name}' for model '${model}' cannot be given as a list; use the binary data format`,
      });
    default:
      return numbers(datatype.element, values, content);
  }
}

function numbers(kind: NumberKind, values: readonly TypedValue[], content: TypedContent): OrtData {
  const array = new NUMBER_ARRAYS[kind](content.count);
  // Values that do not fit are cut to the low bytes, as in Triton.
  for (let index = 0; index < values.length; index += 1) array[index] = number(values[index], content);
  return array;
}

function wrongKind(content: TypedContent, expected: string): Error {
  return new RequestInvalid({
    problem: `input '${content.name}' for model '${content.model}' is ${content.datatype.name} and takes ${expected} only`,
  });
}

function text(value: TypedValue, content: TypedContent): string {
  if (typeof value === 'string') return value;
  if (value instanceof Uint8Array) return elementText(value, content.name);
  throw wrongKind(content, 'strings');
}

function truth(value: TypedValue, content: TypedContent): boolean {
  if (typeof value === 'boolean') return value;
  if (value === 0 || value === 1) return value === 1;
  throw wrongKind(content, 'true and false');
}

function integer(value: TypedValue, content: TypedContent): bigint {
  if (typeof value === 'bigint') return value;
  if (typeof value === 'number' && Number.isSafeInteger(value)) return BigInt(value);
  throw wrongKind(content, 'whole numbers');
}

function number(value: TypedValue | undefined, content: TypedContent): number {
  if (typeof value !== 'number') throw wrongKind(content, 'numbers');
  return value;
}
