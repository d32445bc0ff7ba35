import { floatTensor, floatType, type GraphBuilder, intsAttribute, type Value } from 'lamella/sdk/onnx';
import { InputUnfit } from './errors.ts';

/** A graph under construction with its random source and the work done for one row. */
export interface LayerContext {
  readonly builder: GraphBuilder;
  readonly random: () => number;
  /** Adds multiplications and additions of one row. */
  readonly count: (flops: number) => void;
}

/** Size of a dimension that must be fixed. */
function sized(value: Value, axis: number): number {
  return Number(value.shape[axis]);
}

/** Uniform first weights up to a limit. */
function uniform({ random }: LayerContext, size: number, limit: number): Float32Array {
  return Float32Array.from({ length: size }, () => (random() * 2 - 1) * limit);
}

/** Fully connected layer; first weights by Glorot and Bengio 2010, formula 16. */
export function dense(context: LayerContext, input: Value, units: number): Value {
  const { builder } = context;
  const width = sized(input, 1);
  const limit = Math.sqrt(6 / (width + units));
  const values = uniform(context, width * units, limit);
  const weights = builder.constant(floatTensor('dense_weights', [width, units], values));
  const bias = builder.constant(floatTensor('dense_bias', [units], new Float32Array(units)));
  context.count(2 * width * units);
  return builder.apply('Gemm', [input, weights, bias]);
}

/** Rectifier. */
export function rectify({ builder }: LayerContext, input: Value): Value {
  return builder.apply('Relu', [input]);
}

/** All of a row in one dimension. */
export function flatten({ builder }: LayerContext, input: Value): Value {
  return input.shape.length === 2 ? input : builder.apply('Flatten', [input]);
}

/** A 3x3 convolution that keeps the size, a rectifier, and a 2x2 maximum; first weights by He et al. 2015. */
export function convolve(context: LayerContext, input: Value, filters: number): Value {
  const { builder } = context;
  const [channels, height, width] = [sized(input, 1), sized(input, 2), sized(input, 3)];
  if (height < 2 || width < 2) {
    throw new InputUnfit({
      architecture: 'cnn',
      detail: `an image of ${height}x${width} cannot be halved once more`,
    });
  }
  const fan = channels * 9;
  const values = uniform(context, filters * fan, Math.sqrt(6 / fan));
  const weights = builder.constant(floatTensor('conv_weights', [filters, channels, 3, 3], values));
  const bias = builder.constant(floatTensor('conv_bias', [filters], new Float32Array(filters)));
  const convolved = builder.apply('Conv', [input, weights, bias], {
    kernel_shape: intsAttribute([3, 3]),
    pads: intsAttribute([1, 1, 1, 1]),
  });
  context.count(2 * filters * fan * height * width);
  return builder.apply('MaxPool', [rectify(context, convolved)], {
    kernel_shape: intsAttribute([2, 2]),
    strides: intsAttribute([2, 2]),
  });
}

/** Rows as images of NCHW: [H, W] gets one channel, [C, H, W] stays. */
export function toImage({ builder }: LayerContext, input: Value): Value {
  const sizes = input.shape.slice(1).map(Number);
  return sizes.length === 3 ? input : builder.apply('Reshape', [input, builder.integers([-1, 1, ...sizes])]);
}

/** Input of the graph. */
export function featuresInput(builder: GraphBuilder, shape: readonly number[]): Value {
  return builder.input('features', floatType(['N', ...shape]));
}
