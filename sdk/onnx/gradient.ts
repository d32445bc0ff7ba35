import { isFloatType } from './element-type.ts';
import { GradientUnsupported } from './errors.ts';
import type { GraphBuilder } from './graph-builder.ts';
import { type BuiltNode, GradientContext } from './operator.ts';
import { OPERATORS } from './operators/table.ts';
import { floatTensor } from './tensor.ts';
import type { Value } from './value.ts';

/**
 * Appends the backward pass to a graph: the gradient of a scalar by each of the given values.
 *
 * @remarks Reverse-mode accumulation over ordinary operators, so the result runs wherever the graph runs. Shapes on
 * the way must be fixed. A value the loss does not depend on gets zeros.
 * @param loss - Scalar that is differentiated.
 * @param by - Values that are trained; inputs or constants of the graph, or anything computed.
 * @returns Gradients, in the order of `by` and of the same shapes.
 * @throws GRADIENT_UNSUPPORTED if an operator between the two has no gradient.
 * @throws SHAPE_MISMATCH if a shape is not fixed.
 */
export function gradients(graph: GraphBuilder, loss: Value, by: readonly Value[]): readonly Value[] {
  return backpropagate(graph, { value: loss, gradient: graph.scalar(1) }, by);
}

/**
 * Appends the backward pass from a value whose gradient is known already, which spares the nodes behind it.
 *
 * @throws GRADIENT_UNSUPPORTED SHAPE_MISMATCH as {@link gradients} does.
 */
export function backpropagate(
  graph: GraphBuilder,
  from: { readonly value: Value; readonly gradient: Value },
  by: readonly Value[],
): readonly Value[] {
  const forward = [...graph.nodes];
  const needed = dependents(forward, by);
  const collected = new Map<string, Value>([[from.value.name, from.gradient]]);
  for (const node of forward.toReversed()) {
    const [output] = node.outputs;
    const outputGradient = output === undefined ? undefined : collected.get(output.name);
    if (outputGradient !== undefined && output !== undefined && needed.has(output.name)) {
      backward(graph, node, { outputGradient, needed, collected });
    }
  }
  return by.map((value) => collected.get(value.name) ?? zeros(graph, value));
}

/** Names of all values that something in `by` flows into. */
function dependents(nodes: readonly BuiltNode[], by: readonly Value[]): ReadonlySet<string> {
  const reached = new Set(by.map((value) => value.name));
  for (const node of nodes) {
    if (node.inputs.some((input) => input !== undefined && reached.has(input.name))) {
      for (const output of node.outputs.filter(({ type }) => isFloatType(type))) {
        reached.add(output.name);
      }
    }
  }
  return reached;
}

function backward(
  graph: GraphBuilder,
  node: BuiltNode,
  flow: { outputGradient: Value; needed: ReadonlySet<string>; collected: Map<string, Value> },
): void {
  const rule = node.domain === '' ? OPERATORS.get(node.opType)?.gradient : undefined;
  if (rule === undefined) {
    throw new GradientUnsupported({ operator: node.opType });
  }
  const inputGradients = rule(new GradientContext(graph, node, flow));
  node.inputs.forEach((input, index) => {
    const gradient = inputGradients[index];
    if (input === undefined || gradient === undefined || !flow.needed.has(input.name)) {
      return;
    }
    const before = flow.collected.get(input.name);
    flow.collected.set(input.name, before === undefined ? gradient : graph.apply('Add', [before, gradient]));
  });
}

function zeros(graph: GraphBuilder, value: Value): Value {
  const dims = value.shape.map(Number);
  return graph.constant(
    floatTensor('zeros', dims, new Float32Array(dims.reduce((product, size) => product * size, 1))),
  );
}
