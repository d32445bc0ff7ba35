import { ModelMalformed } from './errors.ts';
import type {
  OnnxAttribute,
  OnnxDimension,
  OnnxEntry,
  OnnxGraph,
  OnnxModel,
  OnnxNode,
  OnnxOpset,
  OnnxShape,
  OnnxTensor,
  OnnxTensorType,
  OnnxType,
  OnnxValueInfo,
} from './model.ts';
import * as field from './wire/fields.ts';
import { decodeMessage, encodeMessage, message, type MessageCodec } from './wire/message.ts';

// Field numbers: onnx/onnx: onnx/onnx.proto. Fields that are not listed pass through as unknown bytes.
const DIMENSION: MessageCodec<OnnxDimension> = message(() => ({
  value: field.optionalInteger(1),
  parameter: field.optionalText(2),
}));
const SHAPE: MessageCodec<OnnxShape> = message(() => ({ dims: field.messages(1, () => DIMENSION) }));
const TENSOR_TYPE: MessageCodec<OnnxTensorType> = message(() => ({
  elementType: field.integer(1),
  shape: field.optionalMessage(2, () => SHAPE),
}));
const TYPE: MessageCodec<OnnxType> = message(() => ({ tensor: field.optionalMessage(1, () => TENSOR_TYPE) }));
const VALUE_INFO: MessageCodec<OnnxValueInfo> = message(() => ({
  name: field.text(1),
  type: field.optionalMessage(2, () => TYPE),
}));
const TENSOR: MessageCodec<OnnxTensor> = message(() => ({
  dims: field.integers(1),
  type: field.integer(2),
  floatData: field.optionalFloats(4),
  int32Data: field.optionalIntegers(5),
  stringData: field.optionalBytesList(6),
  int64Data: field.optionalLongs(7),
  name: field.text(8),
  rawData: field.optionalBytes(9),
  doubleData: field.optionalDoubles(10),
}));
const ATTRIBUTE: MessageCodec<OnnxAttribute> = message(() => ({
  name: field.text(1),
  float: field.optionalFloat(2),
  int: field.optionalLong(3),
  string: field.optionalBytes(4),
  tensor: field.optionalMessage(5, () => TENSOR),
  graph: field.optionalMessage(6, () => GRAPH),
  floats: field.optionalFloats(7),
  ints: field.optionalLongs(8),
  strings: field.optionalBytesList(9),
  type: field.integer(20),
}));
const NODE: MessageCodec<OnnxNode> = message(() => ({
  inputs: field.texts(1),
  outputs: field.texts(2),
  name: field.text(3),
  opType: field.text(4),
  attributes: field.messages(5, () => ATTRIBUTE),
  domain: field.text(7),
}));
const GRAPH: MessageCodec<OnnxGraph> = message(() => ({
  nodes: field.messages(1, () => NODE),
  name: field.text(2),
  initializers: field.messages(5, () => TENSOR),
  inputs: field.messages(11, () => VALUE_INFO),
  outputs: field.messages(12, () => VALUE_INFO),
  valueInfos: field.messages(13, () => VALUE_INFO),
}));
const OPSET: MessageCodec<OnnxOpset> = message(() => ({ domain: field.text(1), version: field.integer(2) }));
const ENTRY: MessageCodec<OnnxEntry> = message(() => ({ key: field.text(1), value: field.text(2) }));
const EMPTY_GRAPH: OnnxGraph = {
  name: '',
  nodes: [],
  initializers: [],
  inputs: [],
  outputs: [],
  valueInfos: [],
};
const MODEL: MessageCodec<OnnxModel> = message(() => ({
  irVersion: field.integer(1),
  producerName: field.text(2),
  producerVersion: field.text(3),
  graph: field.requiredMessage(
    7,
    () => GRAPH,
    () => EMPTY_GRAPH,
  ),
  opsetImports: field.messages(8, () => OPSET),
  metadata: field.messages(14, () => ENTRY),
}));

/**
 * Reads an ONNX file.
 *
 * @remarks Weights stay views of `bytes`: keep the buffer unchanged while the model is in use.
 * @throws MODEL_MALFORMED if the bytes are cut off, damaged or something else than a model.
 */
export function decodeModel(bytes: Uint8Array): OnnxModel {
  const model = decodeMessage(MODEL, bytes);
  if (model.irVersion < 1 || model.opsetImports.length === 0 || model.graph === EMPTY_GRAPH) {
    throw new ModelMalformed({ detail: 'it has no format version, no operator set or no graph' });
  }
  return model;
}

/** Writes an ONNX file. Weights are copied once. */
export function encodeModel(model: OnnxModel): Uint8Array {
  return encodeMessage(MODEL, model);
}
