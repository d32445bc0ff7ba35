import { intsAttribute, readInts, textAttribute } from '../attribute.ts';
import { ElementType } from '../element-type.ts';
import type { GradientContext, OperatorCall, OperatorTable } from '../operator.ts';
import { floatTensor } from '../tensor.ts';
import type { Value, ValueType } from '../value.ts';
import { fixedShape, reshapeLike } from './broadcast.ts';
import { windowOf, windowOutput } from './window.ts';

/** Pooling in NCHW. */
export const POOLING: OperatorTable = {
  MaxPool: { infer: inferMaxPool, gradient: maxPoolGradient },
  AveragePool: { infer: (call) => [poolType(call)] },
  GlobalAveragePool: { infer: inferGlobal, gradient: globalAverageGradient },
  GlobalMaxPool: { infer: inferGlobal },
  MaxUnpool: { infer: inferMaxUnpool },
};

function kernelOf(call: OperatorCall): readonly number[] {
  return readInts(call.attributes, 'kernel_shape') ?? call.fail('kernel_shape is missing');
}

function poolType(call: OperatorCall): ValueType {
  const data = call.input(0);
  return {
    type: data.type,
    shape: [...data.shape.slice(0, 2), ...windowOutput(call, data.shape.slice(2), kernelOf(call))],
  };
}

function inferMaxPool(call: OperatorCall): readonly ValueType[] {
  const pooled = poolType(call);
  return [pooled, { type: ElementType.INT64, shape: pooled.shape }];
}

function inferGlobal(call: OperatorCall): readonly ValueType[] {
  const { type, shape } = call.input(0);
  return [{ type, shape: shape.map((dimension, axis) => (axis < 2 ? dimension : 1)) }];
}

function inferMaxUnpool(call: OperatorCall): readonly ValueType[] {
  return [{ type: call.input(0).type, shape: call.integerInput(2) }];
}

/**
 * Sends each gradient to the place its maximum came from.
 *
 * @remarks MaxUnpool writes, so it serves windows that do not overlap; where they do, ScatterElements adds.
 */
function maxPoolGradient(context: GradientContext): readonly (Value | undefined)[] {
  const { graph, node, outputGradient } = context;
  const shape = fixedShape('MaxPool', context.input(0));
  const kernel = readInts(node.attributes, 'kernel_shape') ?? [];
  const indices = node.outputs[1] ?? graph.extend(node);
  const window = windowOf(node, kernel);
  if (window.strides.every((stride, axis) => stride >= (kernel[axis] ?? 0))) {
    const unpooled = graph.apply('MaxUnpool', [outputGradient, indices, graph.integers(shape)], {
      kernel_shape: intsAttribute(kernel),
      strides: intsAttribute(window.strides),
    });
    return [unpooled];
  }
  const size = shape.reduce((product, dimension) => product * dimension, 1);
  const zeros = graph.constant(floatTensor('zeros', [size], new Float32Array(size)));
  const flat = [indices, outputGradient].map((value) =>
    graph.apply('Reshape', [value, graph.integers([-1])]),
  );
  const scattered = graph.apply('ScatterElements', [zeros, ...flat], { reduction: textAttribute('add') });
  return [reshapeLike(graph, scattered, context.input(0))];
}

function globalAverageGradient(context: GradientContext): readonly (Value | undefined)[] {
  const { graph, outputGradient } = context;
  const shape = fixedShape('GlobalAveragePool', context.input(0));
  const count = shape.slice(2).reduce((product, size) => product * size, 1);
  const share = graph.apply('Mul', [outputGradient, graph.scalar(1 / count)]);
  return [graph.apply('Expand', [share, graph.integers(shape)])];
}
