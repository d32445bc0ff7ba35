import { intAttribute, intsAttribute, readInt, readInts, readText } from '../attribute.ts';
import type { GradientContext, OperatorCall, OperatorTable } from '../operator.ts';
import { type Dimension, formatShape, type Value, type ValueType } from '../value.ts';
import { fixedShape } from './broadcast.ts';
import { windowOf, windowOutput } from './window.ts';

/** Convolutions in NCHW. */
export const CONVOLUTION: OperatorTable = {
  Conv: { infer: inferConv, gradient: convGradient },
  ConvTranspose: { infer: inferConvTranspose },
};

function inferConv(call: OperatorCall): readonly ValueType[] {
  const [data, weights] = [call.input(0), call.input(1)];
  const kernel = weights.shape.slice(2);
  const group = readInt(call.attributes, 'group', 1);
  const channels = weights.shape[1];
  if (data.shape.length !== weights.shape.length || data.shape[1] !== scale(channels, group)) {
    call.fail(`weights of ${formatShape(weights.shape)} do not fit data of ${formatShape(data.shape)}`);
  }
  const spatial = windowOutput(call, data.shape.slice(2), kernel);
  return [{ type: data.type, shape: [...data.shape.slice(0, 1), ...weights.shape.slice(0, 1), ...spatial] }];
}

function scale(dimension: Dimension | undefined, factor: number): Dimension | undefined {
  return typeof dimension === 'number' ? dimension * factor : dimension;
}

function inferConvTranspose(call: OperatorCall): readonly ValueType[] {
  const [data, weights] = [call.input(0), call.input(1)];
  const kernel = weights.shape.slice(2).map(Number);
  const { strides, dilations, pads } = windowOf(call, kernel);
  const extra = readInts(call.attributes, 'output_padding') ?? kernel.map(() => 0);
  const spatial = data.shape.slice(2).map((dimension, axis): Dimension => {
    if (typeof dimension === 'string') {
      return `?${dimension}`;
    }
    const padding = (pads[axis] ?? 0) + (pads[axis + kernel.length] ?? 0);
    const reach = ((kernel[axis] ?? 1) - 1) * (dilations[axis] ?? 1) + 1;
    return (dimension - 1) * (strides[axis] ?? 1) + reach + (extra[axis] ?? 0) - padding;
  });
  const channels = scale(weights.shape[1], readInt(call.attributes, 'group', 1)) ?? 1;
  return [{ type: data.type, shape: [...data.shape.slice(0, 1), channels, ...spatial] }];
}

/**
 * By the data: the transposed convolution with the same weights. By the weights: the data convolved with the output
 * gradient as kernel, batch and channels swapped, strides and dilations swapped. By the bias: the sum.
 */
function convGradient(context: GradientContext): readonly (Value | undefined)[] {
  const { graph, node, outputGradient } = context;
  if (readText(node.attributes, 'auto_pad', 'NOTSET') !== 'NOTSET') {
    return context.unsupported(' with auto_pad');
  }
  const rank = outputGradient.shape.length;
  const reduced = [0, ...Array.from({ length: rank - 2 }, (_, axis) => axis + 2)];
  return [
    context.ifNeeded(0, () => dataGradient(context)),
    context.ifNeeded(1, () => weightGradient(context)),
    context.ifNeeded(2, () =>
      graph.apply('ReduceSum', [outputGradient, graph.integers(reduced)], { keepdims: intAttribute(false) }),
    ),
  ];
}

function dataGradient(context: GradientContext): Value {
  const { graph, node, outputGradient } = context;
  const [data, weights] = [context.input(0), context.input(1)];
  const kernel = fixedShape('Conv', weights).slice(2);
  const { strides, dilations, pads } = windowOf(node, kernel);
  const [inputSizes, outputSizes] = [
    fixedShape('Conv', data).slice(2),
    fixedShape('Conv', outputGradient).slice(2),
  ];
  // Rows that the last window did not reach: without them the result would be smaller than the data.
  const outputPadding = kernel.map((size, axis) => {
    const padding = (pads[axis] ?? 0) + (pads[axis + kernel.length] ?? 0);
    const reach = (size - 1) * (dilations[axis] ?? 1) + 1;
    return (
      (inputSizes[axis] ?? 0) - (((outputSizes[axis] ?? 0) - 1) * (strides[axis] ?? 1) + reach - padding)
    );
  });
  return graph.apply('ConvTranspose', [outputGradient, weights], {
    strides: intsAttribute(strides),
    dilations: intsAttribute(dilations),
    pads: intsAttribute(pads),
    output_padding: intsAttribute(outputPadding),
    group: intAttribute(readInt(node.attributes, 'group', 1)),
  });
}

function weightGradient(context: GradientContext): Value {
  const { graph, node, outputGradient } = context;
  if (readInt(node.attributes, 'group', 1) !== 1) {
    return context.unsupported(' with groups');
  }
  const kernel = fixedShape('Conv', context.input(1)).slice(2);
  const { strides, dilations, pads } = windowOf(node, kernel);
  const swap = { perm: intsAttribute([1, 0, ...kernel.map((_, axis) => axis + 2)]) };
  const swappedData = graph.apply('Transpose', [context.input(0)], swap);
  const swappedGradient = graph.apply('Transpose', [outputGradient], swap);
  const product = graph.apply('Conv', [swappedData, swappedGradient], {
    strides: intsAttribute(dilations),
    dilations: intsAttribute(strides),
    pads: intsAttribute(pads),
  });
  const exact = product.shape.slice(2).every((size, axis) => size === kernel[axis]);
  const axes = kernel.map((_, axis) => axis + 2);
  const cut = exact
    ? product
    : graph.apply('Slice', [
        product,
        graph.integers(kernel.map(() => 0)),
        graph.integers(kernel),
        graph.integers(axes),
      ]);
  return graph.apply('Transpose', [cut], swap);
}
