import type { MessageInitShape } from '@bufbuild/protobuf';
import type { SignatureSchema, TensorSpecSchema } from 'lamella/proto/lamella/model/v1/model';
import {
  chainModels,
  classifierHead,
  decodeModel,
  ElementType,
  floatValues,
  modelInputs,
  type ModelPort,
  modelOutputs,
  type OnnxModel,
  parameterSlots,
  readParameters,
  withParameters,
} from 'lamella/sdk/onnx';
import { InitialModelUnfit } from './errors.ts';

// Names of the Open Inference Protocol, where they differ from ONNX.
const DATATYPES: ReadonlyMap<number, string> = new Map([
  [ElementType.FLOAT, 'FP32'],
  [ElementType.DOUBLE, 'FP64'],
  [ElementType.FLOAT16, 'FP16'],
  [ElementType.BFLOAT16, 'BF16'],
  [ElementType.UINT8, 'UINT8'],
  [ElementType.INT8, 'INT8'],
  [ElementType.UINT16, 'UINT16'],
  [ElementType.INT16, 'INT16'],
  [ElementType.INT32, 'INT32'],
  [ElementType.UINT32, 'UINT32'],
  [ElementType.INT64, 'INT64'],
  [ElementType.UINT64, 'UINT64'],
  [ElementType.BOOL, 'BOOL'],
  [ElementType.STRING, 'BYTES'],
]);

/** The graph that is served: preparation, model, probabilities and label. */
export function servedModel(fragment: OnnxModel, trained: OnnxModel, classes: number): OnnxModel {
  return chainModels(chainModels(fragment, trained), classifierHead(classes));
}

/** What a served graph takes and gives. */
export function signatureOf(
  model: OnnxModel,
  labels: readonly string[],
): MessageInitShape<typeof SignatureSchema> {
  return {
    inputs: modelInputs(model).map((port) => tensorSpec(port, [])),
    outputs: modelOutputs(model).map((port) => tensorSpec(port, port.name === 'probabilities' ? labels : [])),
  };
}

function tensorSpec(port: ModelPort, labels: readonly string[]): MessageInitShape<typeof TensorSpecSchema> {
  return {
    name: port.name,
    datatype: DATATYPES.get(port.type) ?? '',
    shape: port.shape.map((size) => BigInt(typeof size === 'number' ? size : -1)),
    labels: [...labels],
  };
}

/**
 * Takes the weights of an earlier served graph into an untrained model of the same architecture.
 *
 * @remarks Composition puts a path in front of names, so the last part of a name tells which weights they are.
 * @throws INITIAL_MODEL_UNFIT MODEL_MALFORMED
 */
export function continueFrom(untrained: OnnxModel, initial: Uint8Array): OnnxModel {
  const tensors = decodeModel(initial).graph.initializers;
  const weights = readParameters(untrained);
  for (const slot of parameterSlots(untrained)) {
    const tensor = tensors.find(
      ({ name, dims }) =>
        (name === slot.name || name.endsWith(`/${slot.name}`)) && dims.join() === slot.dims.join(),
    );
    if (tensor === undefined) {
      throw new InitialModelUnfit({ weights: slot.name });
    }
    weights.set(floatValues(tensor), slot.offset);
  }
  return withParameters(untrained, weights);
}
