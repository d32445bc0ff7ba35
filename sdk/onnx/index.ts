export {
  type AttributeValue,
  type Attributes,
  floatAttribute,
  graphAttribute,
  intAttribute,
  intsAttribute,
  tensorAttribute,
  textAttribute,
} from './attribute.ts';
export { decodeModel, encodeModel } from './codec.ts';
export {
  bindInputs,
  chainModels,
  classifierHead,
  modelInputs,
  modelOutputs,
  type ModelPort,
} from './compose.ts';
export { crossEntropy } from './cross-entropy.ts';
export { elementSizeBytes, ElementType, elementTypeName, isFloatType } from './element-type.ts';
export {
  GradientUnsupported,
  ModelMalformed,
  ModelNotTrainable,
  ModelsNotComposable,
  OperatorUnsupported,
  ShapeMismatch,
} from './errors.ts';
export { finishModel, IR_VERSION, OPSET_VERSION } from './finish-model.ts';
export { backpropagate, gradients } from './gradient.ts';
export { type CallNodeOptions, floatType, GraphBuilder } from './graph-builder.ts';
export { importGraph, valueNamed } from './import-graph.ts';
export type {
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
  UnknownFields,
} from './model.ts';
export {
  adam,
  type AdamOptions,
  type GradientDescentOptions,
  type Optimizer,
  stochasticGradientDescent,
  type UpdateInputs,
} from './optimizer.ts';
export type { BuiltNode } from './operator.ts';
export { type ParameterSlot, parameterSlots, readParameters, withParameters } from './parameters.ts';
export { seededRandom } from './seeded-random.ts';
export { bytesOf, floatTensor, floatValues, int64Tensor, integerValues, tensorSize } from './tensor.ts';
export {
  buildTrainingGraph,
  stateNames,
  type TrainingGraph,
  type TrainingGraphOptions,
} from './training-graph.ts';
export {
  broadcastShapes,
  type Dimension,
  elementCount,
  formatShape,
  sameShape,
  type Shape,
  staticShape,
  type Value,
  type ValueType,
} from './value.ts';
