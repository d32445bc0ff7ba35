import { readInt, readInts } from '../attribute.ts';
import { ElementType } from '../element-type.ts';
import type { GradientContext, OperatorCall, OperatorTable } from '../operator.ts';
import { staticShape, type Value, type ValueType } from '../value.ts';
import { fixedShape } from './broadcast.ts';

/** Operators that fold axes. Axes of ReduceSum are an input since opset 13, those of the others an attribute. */
export const REDUCTION: OperatorTable = {
  ReduceSum: { infer: inferReduction, gradient: (context) => [expand(context, context.outputGradient)] },
  ReduceMean: { infer: inferReduction, gradient: meanGradient },
  ReduceMax: { infer: inferReduction },
  ReduceMin: { infer: inferReduction },
  ArgMax: { infer: inferArgMax },
  ArgMin: { infer: inferArgMax },
};

type Reduction = Pick<OperatorCall, 'inputs' | 'attributes'>;

function axesOf(call: OperatorCall): ReadonlySet<number> {
  const rank = call.input(0).shape.length;
  const given = call.inputs[1] === undefined ? readInts(call.attributes, 'axes') : call.integerInput(1);
  const axes =
    given === undefined || given.length === 0 ? Array.from({ length: rank }, (_, axis) => axis) : given;
  return new Set(axes.map((axis) => call.axis(axis, rank)));
}

function keepsAxes({ attributes }: Reduction): boolean {
  return readInt(attributes, 'keepdims', 1) !== 0;
}

function inferReduction(call: OperatorCall): readonly ValueType[] {
  const { type, shape } = call.input(0);
  const axes = axesOf(call);
  const kept = shape.map((dimension, axis) => (axes.has(axis) ? 1 : dimension));
  return [{ type, shape: keepsAxes(call) ? kept : shape.filter((_, axis) => !axes.has(axis)) }];
}

function inferArgMax(call: OperatorCall): readonly ValueType[] {
  const { shape } = call.input(0);
  const folded = call.axis(readInt(call.attributes, 'axis', 0), shape.length);
  const kept = shape.map((dimension, axis) => (axis === folded ? 1 : dimension));
  return [
    { type: ElementType.INT64, shape: keepsAxes(call) ? kept : shape.filter((_, axis) => axis !== folded) },
  ];
}

/** Spreads a gradient over the axes that were folded. */
function expand(context: GradientContext, gradient: Value): Value {
  const { graph, node } = context;
  const shape = fixedShape(node.opType, context.input(0));
  const axes = axesOf(context.asCall());
  const kept = shape.map((size, axis) => (axes.has(axis) ? 1 : size));
  const aligned = keepsAxes(node) ? gradient : graph.apply('Reshape', [gradient, graph.integers(kept)]);
  return graph.apply('Expand', [aligned, graph.integers(shape)]);
}

function meanGradient(context: GradientContext): readonly (Value | undefined)[] {
  const { graph, outputGradient } = context;
  const before = fixedShape('ReduceMean', context.input(0));
  const after = staticShape(context.output(0).shape) ?? [];
  const size = (shape: readonly number[]): number =>
    shape.reduce((product, dimension) => product * dimension, 1);
  const share = graph.apply('Mul', [outputGradient, graph.scalar(size(after) / size(before))]);
  return [expand(context, share)];
}
