import { readInt, textAttribute } from '../attribute.ts';
import type { GradientContext, OperatorCall, OperatorTable } from '../operator.ts';
import { type Dimension, formatShape, type Value, type ValueType } from '../value.ts';
import { fixedShape } from './broadcast.ts';

/** Operators that take parts of a tensor or put parts into one. */
export const INDEXING: OperatorTable = {
  Gather: { infer: inferGather, gradient: gatherGradient },
  Slice: { infer: inferSlice, gradient: sliceGradient },
  Split: { infer: inferSplit },
  Pad: { infer: inferPad },
  ScatterND: { infer: inferSame },
  ScatterElements: { infer: inferSame },
};

function inferSame(call: OperatorCall): readonly ValueType[] {
  return [{ type: call.input(0).type, shape: call.input(0).shape }];
}

function inferGather(call: OperatorCall): readonly ValueType[] {
  const [data, indices] = [call.input(0), call.input(1)];
  const axis = call.axis(readInt(call.attributes, 'axis', 0), data.shape.length);
  return [
    {
      type: data.type,
      shape: [...data.shape.slice(0, axis), ...indices.shape, ...data.shape.slice(axis + 1)],
    },
  ];
}

/** Adds each row's gradient to the row it was taken from, as an embedding needs it. */
function gatherGradient(context: GradientContext): readonly (Value | undefined)[] {
  const { graph, node, outputGradient } = context;
  return [
    context.ifNeeded(0, () => {
      if (readInt(node.attributes, 'axis', 0) !== 0) {
        return context.unsupported(' along another axis than 0');
      }
      const shape = fixedShape('Gather', context.input(0));
      const zeros = graph.apply('Expand', [graph.scalar(0), graph.integers(shape)]);
      const rows = graph.apply('Unsqueeze', [context.input(1), graph.integers([-1])]);
      return graph.apply('ScatterND', [zeros, rows, outputGradient], { reduction: textAttribute('add') });
    }),
  ];
}

interface SliceAxis {
  readonly axis: number;
  readonly start: number;
  readonly size: number;
  readonly step: number;
}

/** Resolved slice of one axis: negative positions count from the end, and both ends are cut to the size. */
function sliceAxes(call: OperatorCall): readonly SliceAxis[] {
  const { shape } = call.input(0);
  const [starts, ends] = [call.integerInput(1), call.integerInput(2)];
  const axes = call.inputs[3] === undefined ? starts.map((_, index) => index) : call.integerInput(3);
  const steps = call.inputs[4] === undefined ? starts.map(() => 1) : call.integerInput(4);
  return axes.map((given, index) => {
    const axis = call.axis(given, shape.length);
    const size = shape[axis];
    const step = steps[index] ?? 1;
    if (typeof size !== 'number' || step < 1) {
      return call.fail(`axis ${axis} of ${formatShape(shape)} needs a fixed size and a positive step`);
    }
    const clamp = (position: number): number =>
      Math.min(Math.max(position < 0 ? position + size : position, 0), size);
    const start = clamp(starts[index] ?? 0);
    const end = clamp(ends[index] ?? 0);
    return { axis, start, size: Math.max(Math.ceil((end - start) / step), 0), step };
  });
}

function inferSlice(call: OperatorCall): readonly ValueType[] {
  const { type, shape } = call.input(0);
  const result: Dimension[] = [...shape];
  for (const { axis, size } of sliceAxes(call)) {
    result[axis] = size;
  }
  return [{ type, shape: result }];
}

/** Puts the gradient back into zeros. */
function sliceGradient(context: GradientContext): readonly (Value | undefined)[] {
  const { graph, outputGradient } = context;
  const shape = fixedShape('Slice', context.input(0));
  const before = shape.map(() => 0);
  const after = shape.map(() => 0);
  for (const { axis, start, size, step } of sliceAxes(context.asCall())) {
    if (step !== 1) {
      return context.unsupported(' with steps');
    }
    before[axis] = start;
    after[axis] = (shape[axis] ?? 0) - start - size;
  }
  return [graph.apply('Pad', [outputGradient, graph.integers([...before, ...after])])];
}

function inferSplit(call: OperatorCall): readonly ValueType[] {
  const { type, shape } = call.input(0);
  const axis = call.axis(readInt(call.attributes, 'axis', 0), shape.length);
  if (call.inputs[1] === undefined) {
    return call.fail('the sizes of its parts are missing');
  }
  return call
    .integerInput(1)
    .map((size) => ({ type, shape: shape.map((dimension, index) => (index === axis ? size : dimension)) }));
}

function inferPad(call: OperatorCall): readonly ValueType[] {
  const { type, shape } = call.input(0);
  const pads = call.integerInput(1);
  return [
    {
      type,
      shape: shape.map((dimension, axis) => {
        const added = (pads[axis] ?? 0) + (pads[axis + shape.length] ?? 0);
        return typeof dimension === 'number'
          ? dimension + added
          : added === 0
            ? dimension
            : `?${dimension}+${added}`;
      }),
    },
  ];
}
