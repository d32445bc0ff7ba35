import type { OnnxGraph, OnnxModel } from './model.ts';

/** Operator set of the models that Lamella writes: the newest that every runtime in use reads. */
export const OPSET_VERSION = 17;

/** File format version that goes with {@link OPSET_VERSION}. */
export const IR_VERSION = 8;

/** Wraps a graph of opset 17 into a model. */
export function finishModel(graph: OnnxGraph, metadata: Readonly<Record<string, string>> = {}): OnnxModel {
  return {
    irVersion: IR_VERSION,
    opsetImports: [{ domain: '', version: OPSET_VERSION }],
    producerName: 'lamella',
    producerVersion: '',
    metadata: Object.entries(metadata).map(([key, value]) => ({ key, value })),
    graph,
  };
}
