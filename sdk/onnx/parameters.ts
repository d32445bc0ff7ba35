import { ElementType } from './element-type.ts';
import { ModelMalformed } from './errors.ts';
import type { OnnxModel, OnnxTensor } from './model.ts';
import { bytesOf, floatValues, tensorSize } from './tensor.ts';

/** Place of one trainable tensor in the flat vector of all of them. */
export interface ParameterSlot {
  readonly name: string;
  readonly dims: readonly number[];
  /** Elements before it in the vector. */
  readonly offset: number;
  readonly size: number;
}

/** Trainable tensors of a model: its float initializers with at least one dimension, in order. */
export function parameterSlots(model: OnnxModel): readonly ParameterSlot[] {
  let offset = 0;
  return model.graph.initializers.filter(isTrainable).map((tensor) => {
    const slot = { name: tensor.name, dims: tensor.dims, offset, size: tensorSize(tensor) };
    offset += slot.size;
    return slot;
  });
}

/** All trainable tensors of a model one after the other. @throws MODEL_MALFORMED if one does not match its shape. */
export function readParameters(model: OnnxModel): Float32Array {
  const slots = parameterSlots(model);
  const vector = new Float32Array(slots.reduce((sum, slot) => sum + slot.size, 0));
  const tensors = new Map(model.graph.initializers.map((tensor) => [tensor.name, tensor]));
  for (const slot of slots) {
    const tensor = tensors.get(slot.name);
    if (tensor !== undefined) {
      vector.set(floatValues(tensor), slot.offset);
    }
  }
  return vector;
}

/** The model with other weights; the vector is as {@link readParameters} gives it and is not copied. */
export function withParameters(model: OnnxModel, vector: Float32Array): OnnxModel {
  const slots = new Map(parameterSlots(model).map((slot) => [slot.name, slot]));
  const total = [...slots.values()].reduce((sum, slot) => sum + slot.size, 0);
  if (total !== vector.length) {
    throw new ModelMalformed({ detail: `it has ${total} trainable numbers and was given ${vector.length}` });
  }
  const initializers = model.graph.initializers.map((tensor): OnnxTensor => {
    const slot = slots.get(tensor.name);
    if (slot === undefined) {
      return tensor;
    }
    const values = vector.subarray(slot.offset, slot.offset + slot.size);
    return { name: tensor.name, type: ElementType.FLOAT, dims: tensor.dims, rawData: bytesOf(values) };
  });
  return { ...model, graph: { ...model.graph, initializers } };
}

function isTrainable(tensor: OnnxTensor): boolean {
  return tensor.type === ElementType.FLOAT && tensor.dims.length > 0;
}
