import { intAttribute, intsAttribute, readInt, readInts } from '../attribute.ts';
import type { GradientContext, OperatorCall, OperatorTable } from '../operator.ts';
import {
  type Dimension,
  elementCount,
  formatShape,
  sameShape,
  type Shape,
  type Value,
  type ValueType,
} from '../value.ts';
import { fixedShape, reshapeLike, sumTo } from './broadcast.ts';

/** Operators that only give values another shape. */
export const SHAPE: OperatorTable = {
  Reshape: { infer: inferReshape, gradient: reshapeGradient },
  Flatten: { infer: inferFlatten, gradient: reshapeGradient },
  Squeeze: { infer: inferSqueeze, gradient: reshapeGradient },
  Unsqueeze: { infer: inferUnsqueeze, gradient: reshapeGradient },
  Transpose: { infer: inferTranspose, gradient: transposeGradient },
  Expand: { infer: inferExpand, gradient: expandGradient },
  Concat: { infer: inferConcat, gradient: concatGradient },
};

function reshapeGradient(context: GradientContext): readonly (Value | undefined)[] {
  return [reshapeLike(context.graph, context.outputGradient, context.input(0))];
}

function inferReshape(call: OperatorCall): readonly ValueType[] {
  const { type, shape } = call.input(0);
  const target = call
    .integerInput(1)
    .map((size, axis): Dimension => (size === 0 ? (shape[axis] ?? 1) : size));
  const open = target.indexOf(-1);
  if (open >= 0) {
    const rest = target.filter((_, axis) => axis !== open);
    target[open] = missingDimension(call, shape, rest);
  }
  const [before, after] = [elementCount(shape), elementCount(target)];
  if (before !== undefined && after !== undefined && before !== after) {
    call.fail(`${formatShape(shape)} has ${before} elements and ${formatShape(target)} has ${after}`);
  }
  return [{ type, shape: target }];
}

/** The size that -1 stands for: what is left of the input after the other sizes, named ones cancelled out. */
function missingDimension(call: OperatorCall, shape: Shape, rest: Shape): Dimension {
  const left = [...shape];
  for (const name of rest.filter((dimension) => typeof dimension === 'string')) {
    const at = left.indexOf(name);
    if (at < 0) {
      return `?${name}`;
    }
    left.splice(at, 1);
  }
  const names = left.filter((dimension) => typeof dimension === 'string');
  const size = (dimensions: Shape): number =>
    elementCount(dimensions.filter((dimension) => typeof dimension === 'number')) ?? 1;
  const ratio = size(left) / size(rest);
  if (!Number.isInteger(ratio)) {
    call.fail(`${formatShape(shape)} cannot be divided into ${formatShape(rest)}`);
  }
  const [name] = names;
  if (name === undefined) {
    return ratio;
  }
  return names.length === 1 && ratio === 1 ? name : `?${names.join('*')}*${ratio}`;
}

function inferFlatten(call: OperatorCall): readonly ValueType[] {
  const { type, shape } = call.input(0);
  const axis = readInt(call.attributes, 'axis', 1);
  const cut = axis === shape.length ? axis : call.axis(axis, shape.length);
  return [{ type, shape: [product(shape.slice(0, cut)), product(shape.slice(cut))] }];
}

function product(shape: Shape): Dimension {
  return elementCount(shape) ?? (shape.length === 1 ? (shape[0] ?? 1) : `?${shape.join('*')}`);
}

function inferSqueeze(call: OperatorCall): readonly ValueType[] {
  const { type, shape } = call.input(0);
  const axes =
    call.inputs[1] === undefined
      ? undefined
      : call.integerInput(1).map((axis) => call.axis(axis, shape.length));
  const removed = (dimension: Dimension, axis: number): boolean =>
    axes === undefined ? dimension === 1 : axes.includes(axis);
  return [{ type, shape: shape.filter((dimension, axis) => !removed(dimension, axis)) }];
}

function inferUnsqueeze(call: OperatorCall): readonly ValueType[] {
  const { type, shape } = call.input(0);
  const given = call.integerInput(1);
  const rank = shape.length + given.length;
  const axes = new Set(given.map((axis) => call.axis(axis, rank)));
  const rest = [...shape];
  return [
    { type, shape: Array.from({ length: rank }, (_, axis) => (axes.has(axis) ? 1 : (rest.shift() ?? 1))) },
  ];
}

function inferTranspose(call: OperatorCall): readonly ValueType[] {
  const { type, shape } = call.input(0);
  const permutation = readInts(call.attributes, 'perm') ?? shape.map((_, axis) => shape.length - 1 - axis);
  if (permutation.length !== shape.length || new Set(permutation).size !== shape.length) {
    call.fail(`perm ${formatShape(permutation)} does not fit ${formatShape(shape)}`);
  }
  return [{ type, shape: permutation.map((axis) => shape[call.axis(axis, shape.length)] ?? 1) }];
}

function transposeGradient({ graph, node, outputGradient }: GradientContext): readonly (Value | undefined)[] {
  const permutation = readInts(node.attributes, 'perm');
  if (permutation === undefined) {
    return [graph.apply('Transpose', [outputGradient])];
  }
  const inverse = permutation.map((_, axis) => permutation.indexOf(axis));
  return [graph.apply('Transpose', [outputGradient], { perm: intsAttribute(inverse) })];
}

function inferExpand(call: OperatorCall): readonly ValueType[] {
  const { type, shape } = call.input(0);
  const target = call.integerInput(1);
  const rank = Math.max(shape.length, target.length);
  const at = (list: Shape, axis: number): Dimension => list[list.length - rank + axis] ?? 1;
  return [
    {
      type,
      shape: Array.from({ length: rank }, (_, axis) =>
        at(shape, axis) === 1 ? at(target, axis) : at(shape, axis),
      ),
    },
  ];
}

function expandGradient(context: GradientContext): readonly (Value | undefined)[] {
  return [sumTo(context.graph, context.outputGradient, context.input(0).shape)];
}

function inferConcat(call: OperatorCall): readonly ValueType[] {
  const first = call.input(0);
  const joined = call.axis(readInt(call.attributes, 'axis', 0), first.shape.length);
  const rest = (value: Value): Shape =>
    value.shape.map((dimension, axis) => (axis === joined ? 0 : dimension));
  const sizes = call.inputs.map((_, index) => {
    const value = call.input(index);
    if (!sameShape(rest(value), rest(first))) {
      call.fail(
        `${formatShape(value.shape)} cannot be joined to ${formatShape(first.shape)} along axis ${joined}`,
      );
    }
    return value.shape[joined] ?? 0;
  });
  const total =
    elementCount(sizes) === undefined
      ? `?${sizes.join('+')}`
      : sizes.reduce<number>((sum, size) => sum + Number(size), 0);
  return [
    { type: first.type, shape: first.shape.map((dimension, axis) => (axis === joined ? total : dimension)) },
  ];
}

function concatGradient(context: GradientContext): readonly (Value | undefined)[] {
  const { graph, node, outputGradient } = context;
  const rank = outputGradient.shape.length;
  const axis = (readInt(node.attributes, 'axis', 0) + rank) % rank;
  const sizes = node.inputs.map((_, index) => fixedShape('Concat', context.input(index))[axis] ?? 0);
  return graph.call('Split', [outputGradient, graph.integers(sizes)], {
    attributes: { axis: intAttribute(axis) },
    outputCount: sizes.length,
  });
}
