import { intAttribute } from '../attribute.ts';
import type { GraphBuilder } from '../graph-builder.ts';
import type { OperatorCall } from '../operator.ts';
import {
  broadcastShapes,
  formatShape,
  sameShape,
  type Shape,
  staticShape,
  type Value,
  type ValueType,
} from '../value.ts';
import { ShapeMismatch } from '../errors.ts';

/** Type of an elementwise operator's result. */
export function inferBroadcast(
  call: OperatorCall,
  inputs: readonly Value[],
  type: number,
): readonly ValueType[] {
  const shape = inputs.reduce<Shape>(
    (merged, input) =>
      broadcastShapes(merged, input.shape) ??
      call.fail(`shapes ${formatShape(merged)} and ${formatShape(input.shape)} do not broadcast`),
    [],
  );
  return [{ type, shape }];
}

/**
 * Sums a gradient over the axes along which its operand was broadcast, so that it has the operand's shape again.
 */
export function sumTo(graph: GraphBuilder, gradient: Value, shape: Shape): Value {
  if (sameShape(gradient.shape, shape)) {
    return gradient;
  }
  const leading = gradient.shape.length - shape.length;
  const outer = Array.from({ length: leading }, (_, index) => index);
  const summed =
    leading === 0
      ? gradient
      : graph.apply('ReduceSum', [gradient, graph.integers(outer)], { keepdims: intAttribute(false) });
  const inner = shape.flatMap((dimension, axis) =>
    dimension === 1 && summed.shape[axis] !== 1 ? [axis] : [],
  );
  return inner.length === 0
    ? summed
    : graph.apply('ReduceSum', [summed, graph.integers(inner)], { keepdims: intAttribute(true) });
}

/** The shape as numbers, which a backward pass needs. @throws SHAPE_MISMATCH if a size is only named. */
export function fixedShape(operator: string, value: Value): readonly number[] {
  const shape = staticShape(value.shape);
  if (shape === undefined) {
    throw new ShapeMismatch({
      operator,
      detail: `its gradient needs a fixed shape, and ${value.name} has ${formatShape(value.shape)}`,
    });
  }
  return shape;
}

/** Gives a value the fixed shape of another one with as many elements. */
export function reshapeLike(graph: GraphBuilder, value: Value, like: Value): Value {
  if (sameShape(value.shape, like.shape)) {
    return value;
  }
  return graph.apply('Reshape', [value, graph.integers(fixedShape('Reshape', like))]);
}
