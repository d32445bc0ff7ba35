import type { OnnxAttribute, OnnxGraph, OnnxTensor } from './model.ts';

/** An attribute's value before it has a name. */
export type AttributeValue = Omit<OnnxAttribute, 'name'>;

/** Attributes of a node by name. */
export type Attributes = Readonly<Record<string, AttributeValue>>;

// Numbers: AttributeProto.AttributeType in onnx/onnx: onnx/onnx.proto.
const TYPE = { FLOAT: 1, INT: 2, STRING: 3, TENSOR: 4, GRAPH: 5, FLOATS: 6, INTS: 7, STRINGS: 8 } as const;

/** A float attribute. */
export function floatAttribute(value: number): AttributeValue {
  return { type: TYPE.FLOAT, float: value };
}

/** An integer attribute; booleans are 0 and 1. */
export function intAttribute(value: number | boolean): AttributeValue {
  return { type: TYPE.INT, int: BigInt(value) };
}

/** A list of integers. */
export function intsAttribute(values: readonly number[]): AttributeValue {
  return { type: TYPE.INTS, ints: values.map(BigInt) };
}

/** A text attribute. */
export function textAttribute(value: string): AttributeValue {
  return { type: TYPE.STRING, string: new TextEncoder().encode(value) };
}

/** A tensor attribute. */
export function tensorAttribute(value: OnnxTensor): AttributeValue {
  return { type: TYPE.TENSOR, tensor: value };
}

/** A graph attribute, for example the body of a Scan. */
export function graphAttribute(value: OnnxGraph): AttributeValue {
  return { type: TYPE.GRAPH, graph: value };
}

/** Attributes of a decoded node by name. */
export function attributesOf(list: readonly OnnxAttribute[]): Attributes {
  return Object.fromEntries(list.map(({ name, ...value }) => [name, value]));
}

/** Attributes as a node carries them. */
export function attributeList(attributes: Attributes): readonly OnnxAttribute[] {
  return Object.entries(attributes).map(([name, value]) => ({ ...value, name }));
}

/** Reads an integer attribute. */
export function readInt(attributes: Attributes, name: string, fallback: number): number {
  const value = attributes[name]?.int;
  return value === undefined ? fallback : Number(value);
}

/** Reads a float attribute. */
export function readFloat(attributes: Attributes, name: string, fallback: number): number {
  return attributes[name]?.float ?? fallback;
}

/** Reads a list of integers; `undefined` when the attribute is absent. */
export function readInts(attributes: Attributes, name: string): readonly number[] | undefined {
  return attributes[name]?.ints?.map(Number);
}

/** Reads a text attribute. */
export function readText(attributes: Attributes, name: string, fallback: string): string {
  const value = attributes[name]?.string;
  return value === undefined ? fallback : new TextDecoder().decode(value);
}
