import {
  type Attributes,
  floatAttribute,
  intAttribute,
  intsAttribute,
  readFloat,
  readInt,
} from '../attribute.ts';
import type { GraphBuilder } from '../graph-builder.ts';
import type { GradientContext, OperatorCall, OperatorTable } from '../operator.ts';
import { broadcastShapes, formatShape, type Shape, type Value, type ValueType } from '../value.ts';
import { sumTo } from './broadcast.ts';

/** Products of matrices. */
export const MATRIX: OperatorTable = {
  MatMul: { infer: inferMatMul, gradient: matMulGradient },
  Gemm: { infer: inferGemm, gradient: gemmGradient },
};

function inferMatMul(call: OperatorCall): readonly ValueType[] {
  const [left, right] = [call.input(0), call.input(1)];
  if (left.shape.length < 2 || right.shape.length < 2) {
    call.fail('vectors are not supported; reshape them to matrices');
  }
  const batch = broadcastShapes(left.shape.slice(0, -2), right.shape.slice(0, -2));
  if (batch === undefined || left.shape.at(-1) !== right.shape.at(-2)) {
    return call.fail(`${formatShape(left.shape)} times ${formatShape(right.shape)} is not defined`);
  }
  return [{ type: left.type, shape: [...batch, ...left.shape.slice(-2, -1), ...right.shape.slice(-1)] }];
}

function matMulGradient(context: GradientContext): readonly (Value | undefined)[] {
  const { graph, outputGradient } = context;
  const [left, right] = [context.input(0), context.input(1)];
  if (left.shape.length === 2 && right.shape.length === 2) {
    return [
      context.ifNeeded(0, () => gemm(graph, [outputGradient, right], { transB: intAttribute(true) })),
      context.ifNeeded(1, () => gemm(graph, [left, outputGradient], { transA: intAttribute(true) })),
    ];
  }
  return [
    context.ifNeeded(0, () =>
      sumTo(graph, graph.apply('MatMul', [outputGradient, transposeLast(graph, right)]), left.shape),
    ),
    context.ifNeeded(1, () =>
      sumTo(graph, graph.apply('MatMul', [transposeLast(graph, left), outputGradient]), right.shape),
    ),
  ];
}

function transposeLast(graph: GraphBuilder, value: Value): Value {
  const rank = value.shape.length;
  const permutation = Array.from({ length: rank }, (_, axis) => axis);
  permutation.splice(rank - 2, 2, rank - 1, rank - 2);
  return graph.apply('Transpose', [value], { perm: intsAttribute(permutation) });
}

function gemm(graph: GraphBuilder, inputs: readonly Value[], attributes: Attributes): Value {
  return graph.apply('Gemm', inputs, attributes);
}

function inferGemm(call: OperatorCall): readonly ValueType[] {
  const left = transposed(call.input(0).shape, readInt(call.attributes, 'transA', 0));
  const right = transposed(call.input(1).shape, readInt(call.attributes, 'transB', 0));
  if (left.length !== 2 || right.length !== 2 || left[1] !== right[0]) {
    call.fail(`${formatShape(left)} times ${formatShape(right)} is not defined`);
  }
  const shape = [left[0] ?? 0, right[1] ?? 0];
  const bias = call.inputs[2];
  if (bias !== undefined && broadcastShapes(bias.shape, shape)?.length !== 2) {
    call.fail(`a bias of ${formatShape(bias.shape)} does not broadcast to ${formatShape(shape)}`);
  }
  return [{ type: call.input(0).type, shape }];
}

function transposed(shape: Shape, flag: number): Shape {
  return flag === 0 ? shape : shape.toReversed();
}

/** Each case is the product rule with the transposition that brings the factors into place. */
function gemmGradient(context: GradientContext): readonly (Value | undefined)[] {
  const { graph, node, outputGradient } = context;
  const [left, right] = [context.input(0), context.input(1)];
  const transA = readInt(node.attributes, 'transA', 0) !== 0;
  const transB = readInt(node.attributes, 'transB', 0) !== 0;
  const alpha = { alpha: floatAttribute(readFloat(node.attributes, 'alpha', 1)) };
  const flags = (a: boolean, b: boolean): Attributes => ({
    ...alpha,
    transA: intAttribute(a),
    transB: intAttribute(b),
  });
  return [
    context.ifNeeded(0, () =>
      transA
        ? gemm(graph, [right, outputGradient], flags(transB, true))
        : gemm(graph, [outputGradient, right], flags(false, !transB)),
    ),
    context.ifNeeded(1, () =>
      transB
        ? gemm(graph, [outputGradient, left], flags(true, transA))
        : gemm(graph, [left, outputGradient], flags(!transA, false)),
    ),
    context.ifNeeded(2, () => {
      const beta = readFloat(node.attributes, 'beta', 1);
      const scaled = beta === 1 ? outputGradient : graph.apply('Mul', [outputGradient, graph.scalar(beta)]);
      return sumTo(graph, scaled, context.input(2).shape);
    }),
  ];
}
