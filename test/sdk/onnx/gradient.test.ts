import assert from 'node:assert/strict';
import { isDeclaredError } from 'lamella/sdk';
import {
  finishModel,
  floatAttribute,
  floatTensor,
  floatType,
  gradients,
  GraphBuilder,
  int64Tensor,
  intAttribute,
  intsAttribute,
  seededRandom,
  type Value,
} from 'lamella/sdk/onnx';
import { runModel, type TestTensor } from './run-model.ts';

interface Case {
  readonly shapes: readonly (readonly number[])[];
  /** Values are drawn from this range. */
  readonly range?: readonly [number, number];
  readonly build: (builder: GraphBuilder, inputs: readonly Value[]) => Value;
}

const STEP = 1e-2;

function draw(count: number, [low, high]: readonly [number, number], random: () => number): Float32Array {
  return Float32Array.from({ length: count }, () => low + (high - low) * random());
}

const size = (shape: readonly number[]): number =>
  shape.reduce((product, dimension) => product * dimension, 1);

/** Compares gradients of sum(weights * output) by every input with central differences of the same graph. */
async function check({ shapes, range = [-1, 1], build }: Case): Promise<void> {
  const random = seededRandom(7);
  const values = shapes.map((shape) => draw(size(shape), range, random));
  const builder = new GraphBuilder();
  const inputs = shapes.map((shape, index) => builder.input(`x${index}`, floatType(shape)));
  const output = build(builder, inputs);
  const dims = output.shape.map(Number);
  const weights = builder.constant(floatTensor('weights', dims, draw(size(dims), [0.2, 1], random)));
  const loss = builder.apply('ReduceSum', [builder.apply('Mul', [output, weights])], {
    keepdims: intAttribute(false),
  });
  builder.output('loss', loss);
  gradients(builder, loss, inputs).forEach((gradient, index) => builder.output(`g${index}`, gradient));
  const model = finishModel(builder.finish('check'));
  const feeds = (all: readonly Float32Array[]): Record<string, TestTensor> =>
    Object.fromEntries(all.map((data, index) => [`x${index}`, { dims: shapes[index] ?? [], data }]));
  const lossAt = async (all: readonly Float32Array[]): Promise<number> =>
    Number((await runModel(model, feeds(all)))['loss']?.data[0]);
  const exact = await runModel(model, feeds(values));
  for (const [index, data] of values.entries()) {
    const gradient = exact[`g${index}`];
    assert.deepEqual(gradient?.dims, shapes[index]);
    // A handful of elements of each input is enough to catch a wrong rule, and keeps the test quick.
    for (let element = 0; element < data.length; element += Math.ceil(data.length / 6)) {
      const moved = (delta: number): readonly Float32Array[] =>
        values.map((array, other) =>
          other === index ? array.map((value, at) => (at === element ? value + delta : value)) : array,
        );
      const numeric = ((await lossAt(moved(STEP))) - (await lossAt(moved(-STEP)))) / (2 * STEP);
      const analytic = Number(gradient?.data[element]);
      const tolerance = 0.02 * Math.max(1, Math.abs(numeric));
      assert.ok(
        Math.abs(numeric - analytic) < tolerance,
        `x${index}[${element}]: ${analytic} against ${numeric}`,
      );
    }
  }
}

const unary =
  (opType: string): Case['build'] =>
  (builder, inputs) =>
    builder.apply(opType, inputs);
const flag = intAttribute;

const CASES: Readonly<Record<string, Case>> = {
  Add: {
    shapes: [
      [2, 3],
      [2, 3],
    ],
    build: unary('Add'),
  },
  'Add with broadcasting': { shapes: [[2, 3], [3]], build: unary('Add') },
  'Sub with broadcasting': {
    shapes: [
      [2, 1, 3],
      [4, 1],
    ],
    build: unary('Sub'),
  },
  'Mul with broadcasting': {
    shapes: [
      [2, 3],
      [2, 1],
    ],
    build: unary('Mul'),
  },
  'Mul by itself': { shapes: [[4]], build: (builder, [x]) => builder.apply('Mul', [x, x]) },
  'Div with broadcasting': { shapes: [[2, 3], [3]], range: [0.5, 2], build: unary('Div') },
  Pow: { shapes: [[5]], range: [0.5, 2], build: (b, [x]) => b.apply('Pow', [x, b.scalar(3)]) },
  Neg: { shapes: [[5]], build: unary('Neg') },
  Abs: { shapes: [[5]], range: [0.1, 1], build: unary('Abs') },
  Exp: { shapes: [[5]], build: unary('Exp') },
  Log: { shapes: [[5]], range: [0.5, 2], build: unary('Log') },
  Sqrt: { shapes: [[5]], range: [0.5, 2], build: unary('Sqrt') },
  Tanh: { shapes: [[5]], build: unary('Tanh') },
  Sigmoid: { shapes: [[5]], build: unary('Sigmoid') },
  Relu: { shapes: [[12]], build: unary('Relu') },
  Clip: { shapes: [[12]], build: (b, [x]) => b.apply('Clip', [x, b.scalar(-0.5), b.scalar(0.5)]) },
  Cast: { shapes: [[5]], build: (b, [x]) => b.apply('Cast', [x], { to: flag(1) }) },
  Where: {
    shapes: [
      [2, 3],
      [2, 3],
    ],
    build: (b, [x, y]) =>
      b.apply('Where', [b.apply('Greater', [b.apply('Mul', [x, b.scalar(0)]), b.scalar(-1)]), x, y]),
  },
  MatMul: {
    shapes: [
      [3, 4],
      [4, 2],
    ],
    build: unary('MatMul'),
  },
  'MatMul of batches': {
    shapes: [
      [2, 3, 4],
      [4, 2],
    ],
    build: unary('MatMul'),
  },
  Gemm: { shapes: [[3, 4], [4, 2], [2]], build: unary('Gemm') },
  'Gemm with both transposed': {
    shapes: [
      [4, 3],
      [2, 4],
      [3, 2],
    ],
    build: (b, inputs) =>
      b.apply('Gemm', inputs, {
        transA: flag(1),
        transB: flag(1),
        alpha: floatAttribute(0.5),
        beta: floatAttribute(2),
      }),
  },
  'Gemm with the first transposed': {
    shapes: [
      [4, 3],
      [4, 2],
    ],
    build: (b, inputs) => b.apply('Gemm', inputs, { transA: flag(1) }),
  },
  'Gemm with the second transposed': {
    shapes: [
      [3, 4],
      [2, 4],
    ],
    build: (b, inputs) => b.apply('Gemm', inputs, { transB: flag(1) }),
  },
  Softmax: { shapes: [[2, 4]], build: unary('Softmax') },
  'Softmax along axis 0': { shapes: [[3, 2]], build: (b, [x]) => b.apply('Softmax', [x], { axis: flag(0) }) },
  LogSoftmax: { shapes: [[2, 4]], build: unary('LogSoftmax') },
  SoftmaxCrossEntropyLoss: {
    shapes: [[3, 4]],
    build: (b, [x]) =>
      b.apply('SoftmaxCrossEntropyLoss', [x, b.constant(int64Tensor('labels', [3], [2, 0, 3]))]),
  },
  Conv: {
    shapes: [[2, 3, 5, 5], [4, 3, 3, 3], [4]],
    build: (b, inputs) => b.apply('Conv', inputs, { pads: intsAttribute([1, 1, 1, 1]) }),
  },
  'Conv with strides that leave a rest': {
    shapes: [
      [2, 2, 6, 6],
      [3, 2, 3, 3],
    ],
    build: (b, inputs) => b.apply('Conv', inputs, { strides: intsAttribute([2, 2]) }),
  },
  'Conv with dilations and uneven pads': {
    shapes: [
      [1, 2, 7, 6],
      [2, 2, 2, 3],
    ],
    build: (b, inputs) =>
      b.apply('Conv', inputs, { dilations: intsAttribute([2, 1]), pads: intsAttribute([1, 0, 2, 1]) }),
  },
  MaxPool: {
    shapes: [[1, 2, 4, 4]],
    range: [0, 10],
    build: (b, [x]) =>
      b.apply('MaxPool', [x], { kernel_shape: intsAttribute([2, 2]), strides: intsAttribute([2, 2]) }),
  },
  'MaxPool with overlapping windows': {
    shapes: [[1, 2, 5, 5]],
    range: [0, 10],
    build: (b, [x]) =>
      b.apply('MaxPool', [x], { kernel_shape: intsAttribute([3, 3]), strides: intsAttribute([1, 1]) }),
  },
  GlobalAveragePool: { shapes: [[2, 3, 4, 4]], build: unary('GlobalAveragePool') },
  Reshape: { shapes: [[2, 6]], build: (b, [x]) => b.apply('Reshape', [x, b.integers([3, -1])]) },
  Flatten: { shapes: [[2, 3, 2]], build: unary('Flatten') },
  Squeeze: { shapes: [[2, 1, 3]], build: (b, [x]) => b.apply('Squeeze', [x, b.integers([1])]) },
  Unsqueeze: { shapes: [[2, 3]], build: (b, [x]) => b.apply('Unsqueeze', [x, b.integers([1])]) },
  Transpose: {
    shapes: [[2, 3, 4]],
    build: (b, [x]) => b.apply('Transpose', [x], { perm: intsAttribute([2, 0, 1]) }),
  },
  Expand: { shapes: [[2, 1]], build: (b, [x]) => b.apply('Expand', [x, b.integers([3, 2, 4])]) },
  Concat: {
    shapes: [
      [2, 3],
      [2, 2],
    ],
    build: (b, inputs) => b.apply('Concat', inputs, { axis: flag(1) }),
  },
  Slice: {
    shapes: [[4, 5]],
    build: (b, [x]) => b.apply('Slice', [x, b.integers([1, -3]), b.integers([3, 5]), b.integers([0, 1])]),
  },
  Gather: {
    shapes: [[4, 3]],
    build: (b, [x]) => b.apply('Gather', [x, b.constant(int64Tensor('rows', [2, 2], [1, 3, 1, 0]))]),
  },
  ReduceSum: {
    shapes: [[2, 3]],
    build: (b, [x]) => b.apply('ReduceSum', [x, b.integers([1])], { keepdims: flag(0) }),
  },
  'ReduceSum over all axes': { shapes: [[2, 3]], build: unary('ReduceSum') },
  ReduceMean: {
    shapes: [[2, 3]],
    build: (b, [x]) => b.apply('ReduceMean', [x], { axes: intsAttribute([0]) }),
  },
  'one value used twice': {
    shapes: [[3, 3]],
    build: (b, [x]) => b.apply('Add', [b.apply('Tanh', [x]), b.apply('MatMul', [x, x])]),
  },
};

describe('gradients', () => {
  for (const [name, testCase] of Object.entries(CASES)) {
    it(`of ${name} agree with finite differences`, async () => {
      await check(testCase);
    });
  }

  it('are zeros for a value that the loss does not depend on', async () => {
    const builder = new GraphBuilder();
    const [used, unused] = ['a', 'b'].map((name) => builder.input(name, floatType([2])));
    assert.ok(used !== undefined && unused !== undefined);
    const loss = builder.apply('ReduceSum', [used], { keepdims: intAttribute(false) });
    gradients(builder, loss, [unused]).forEach((gradient) => builder.output('g', gradient));
    const data = Float32Array.from([1, 2]);
    const outputs = await runModel(finishModel(builder.finish('zeros')), {
      a: { dims: [2], data },
      b: { dims: [2], data },
    });
    assert.deepEqual([...(outputs['g']?.data ?? [])], [0, 0]);
  });

  it('through an operator without a rule are refused by its name', () => {
    const builder = new GraphBuilder();
    const x = builder.input('x', floatType([3]));
    const loss = builder.apply('ReduceMax', [x], { keepdims: intAttribute(false) });
    assert.throws(
      () => gradients(builder, loss, [x]),
      (error) =>
        isDeclaredError(error) &&
        error.reason === 'GRADIENT_UNSUPPORTED' &&
        error.message.includes('ReduceMax'),
    );
  });

  it('of a graph whose batch is only named are refused where a size is needed', () => {
    const builder = new GraphBuilder();
    const x = builder.input('x', floatType(['N', 3]));
    const loss = builder.apply('ReduceSum', [x], { keepdims: intAttribute(false) });
    assert.throws(
      () => gradients(builder, loss, [x]),
      (error) => isDeclaredError(error) && error.reason === 'SHAPE_MISMATCH',
    );
  });
});
