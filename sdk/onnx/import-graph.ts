import { attributesOf } from './attribute.ts';
import { ModelMalformed } from './errors.ts';
import type { GraphBuilder } from './graph-builder.ts';
import type { OnnxGraph, OnnxNode } from './model.ts';
import type { Value } from './value.ts';

/**
 * Replays a finished graph inside a builder, so that it can be extended, differentiated or given other shapes.
 *
 * @param bindings - Values that take the place of inputs and initializers, by name. Initializers without one become
 *   constants; an input without one is an error.
 * @returns Every value of the graph by its old name.
 * @throws MODEL_MALFORMED if a node reads a value that nothing has written before.
 * @throws OPERATOR_UNSUPPORTED SHAPE_MISMATCH if the types of a node's outputs cannot be told.
 */
export function importGraph(
  builder: GraphBuilder,
  graph: OnnxGraph,
  bindings: ReadonlyMap<string, Value>,
): ReadonlyMap<string, Value> {
  const values = new Map(bindings);
  for (const tensor of graph.initializers) {
    if (!values.has(tensor.name)) {
      values.set(tensor.name, builder.constant(tensor));
    }
  }
  for (const node of graph.nodes) {
    importNode(builder, node, values);
  }
  return values;
}

/** The value behind a name. @throws MODEL_MALFORMED if the graph has none. */
export function valueNamed(values: ReadonlyMap<string, Value>, name: string): Value {
  const value = values.get(name);
  if (value === undefined) {
    throw new ModelMalformed({ detail: `value '${name}' is used before anything produces it` });
  }
  return value;
}

function importNode(builder: GraphBuilder, node: OnnxNode, values: Map<string, Value>): void {
  if (node.opType === 'Constant' && node.domain === '') {
    importConstant(builder, node, values);
    return;
  }
  const inputs = node.inputs.map((name) => (name === '' ? undefined : valueNamed(values, name)));
  const outputs = builder.call(node.opType, inputs, {
    attributes: attributesOf(node.attributes),
    outputCount: node.outputs.length,
    domain: node.domain,
  });
  node.outputs.forEach((name, index) => {
    const output = outputs[index];
    if (output !== undefined) {
      values.set(name, output);
    }
  });
}

function importConstant(builder: GraphBuilder, node: OnnxNode, values: Map<string, Value>): void {
  const tensor = node.attributes.find(({ name }) => name === 'value')?.tensor;
  const [output] = node.outputs;
  if (tensor === undefined || output === undefined) {
    throw new ModelMalformed({ detail: `Constant '${output ?? node.name}' holds no tensor` });
  }
  values.set(output, builder.constant({ ...tensor, name: output }));
}
