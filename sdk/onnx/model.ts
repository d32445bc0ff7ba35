import type { ElementType } from './element-type.ts';

/** Fields of a message that the toolkit does not read; they are written back unchanged, so nothing is lost. */
export interface UnknownFields {
  /** Raw tag-and-value bytes, in the order met. */
  readonly unknown?: readonly Uint8Array[] | undefined;
}

/** A whole model: `ModelProto`. */
export interface OnnxModel extends UnknownFields {
  /** Version of the file format; 8 goes with opset 17. */
  readonly irVersion: number;
  /** Operator sets the graph uses. */
  readonly opsetImports: readonly OnnxOpset[];
  /** Tool that wrote the model. */
  readonly producerName: string;
  /** Version of that tool. */
  readonly producerVersion: string;
  /** Free key-value pairs. */
  readonly metadata: readonly OnnxEntry[];
  /** The computation. */
  readonly graph: OnnxGraph;
}

/** Version of one operator set: `OperatorSetIdProto`; the empty domain is `ai.onnx`. */
export interface OnnxOpset extends UnknownFields {
  readonly domain: string;
  readonly version: number;
}

/** A key and a value: `StringStringEntryProto`. */
export interface OnnxEntry extends UnknownFields {
  readonly key: string;
  readonly value: string;
}

/** Nodes in topological order with named values between them: `GraphProto`. */
export interface OnnxGraph extends UnknownFields {
  readonly name: string;
  readonly nodes: readonly OnnxNode[];
  /** Constants, named; they need not be listed as inputs. */
  readonly initializers: readonly OnnxTensor[];
  readonly inputs: readonly OnnxValueInfo[];
  readonly outputs: readonly OnnxValueInfo[];
  /** Types of values in between; optional hints. */
  readonly valueInfos: readonly OnnxValueInfo[];
}

/** One application of an operator: `NodeProto`. */
export interface OnnxNode extends UnknownFields {
  readonly opType: string;
  readonly domain: string;
  readonly name: string;
  /** Names of inputs; the empty name stands for an optional input left out. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: readonly OnnxAttribute[];
}

/** A named attribute of a node: `AttributeProto`; only the field that `type` speaks of is set. */
export interface OnnxAttribute extends UnknownFields {
  readonly name: string;
  /** `AttributeProto.AttributeType`. */
  readonly type: number;
  readonly float?: number | undefined;
  readonly int?: bigint | undefined;
  readonly string?: Uint8Array | undefined;
  readonly tensor?: OnnxTensor | undefined;
  readonly graph?: OnnxGraph | undefined;
  readonly floats?: readonly number[] | undefined;
  readonly ints?: readonly bigint[] | undefined;
  readonly strings?: readonly Uint8Array[] | undefined;
}

/** A named tensor with its values: `TensorProto`. Values stand in `rawData`, or in the typed list of their kind. */
export interface OnnxTensor extends UnknownFields {
  readonly name: string;
  readonly type: ElementType;
  readonly dims: readonly number[];
  /** Little-endian values; a view of the file's bytes after decoding. */
  readonly rawData?: Uint8Array | undefined;
  readonly floatData?: readonly number[] | undefined;
  readonly int32Data?: readonly number[] | undefined;
  readonly int64Data?: readonly bigint[] | undefined;
  readonly stringData?: readonly Uint8Array[] | undefined;
  readonly doubleData?: readonly number[] | undefined;
}

/** Name and type of a value: `ValueInfoProto`. */
export interface OnnxValueInfo extends UnknownFields {
  readonly name: string;
  readonly type?: OnnxType | undefined;
}

/** `TypeProto`; only tensors are read, other kinds stay in `unknown`. */
export interface OnnxType extends UnknownFields {
  readonly tensor?: OnnxTensorType | undefined;
}

/** `TypeProto.Tensor`. */
export interface OnnxTensorType extends UnknownFields {
  readonly elementType: ElementType;
  readonly shape?: OnnxShape | undefined;
}

/** `TensorShapeProto`; without one even the rank is unknown. */
export interface OnnxShape extends UnknownFields {
  readonly dims: readonly OnnxDimension[];
}

/** One dimension: a size, a name, or neither when unknown. */
export interface OnnxDimension extends UnknownFields {
  readonly value?: number | undefined;
  readonly parameter?: string | undefined;
}
