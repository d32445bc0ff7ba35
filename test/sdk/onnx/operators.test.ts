import assert from 'node:assert/strict';
import { isDeclaredError } from 'lamella/sdk';
import {
  type Attributes,
  ElementType,
  finishModel,
  floatTensor,
  floatType,
  GraphBuilder,
  importGraph,
  int64Tensor,
  intAttribute,
  intsAttribute,
  type OnnxModel,
  type Shape,
  textAttribute,
  type Value,
} from 'lamella/sdk/onnx';
import { runModel } from './run-model.ts';

type Build = (builder: GraphBuilder, x: Value) => readonly Value[];

interface Case {
  /** Shape of the input; its first size is named `N` in a second pass. */
  readonly shape: readonly number[];
  readonly build: Build;
  /** Whether the operator also works when the first size is only named. */
  readonly named?: boolean;
}

const one =
  (opType: string, attributes: Attributes = {}): Build =>
  (builder, x) => [builder.apply(opType, [x], attributes)];
const windows = { kernel_shape: intsAttribute([3, 3]), strides: intsAttribute([2, 2]) };

const CASES: Readonly<Record<string, Case>> = {
  AveragePool: { shape: [2, 3, 9, 8], build: one('AveragePool', windows) },
  'MaxPool that rounds up': {
    shape: [2, 3, 8, 8],
    build: one('MaxPool', { ...windows, ceil_mode: intAttribute(1) }),
  },
  'MaxPool with SAME_UPPER': {
    shape: [1, 1, 7, 6],
    build: one('MaxPool', { ...windows, auto_pad: textAttribute('SAME_UPPER') }),
  },
  'MaxPool with VALID': {
    shape: [1, 1, 7, 6],
    build: one('MaxPool', { ...windows, auto_pad: textAttribute('VALID') }),
  },
  GlobalMaxPool: { shape: [2, 3, 4, 5], build: one('GlobalMaxPool') },
  ArgMax: { shape: [2, 5], build: one('ArgMax', { axis: intAttribute(-1), keepdims: intAttribute(false) }) },
  'ArgMin that keeps its axis': { shape: [2, 5], build: one('ArgMin', { axis: intAttribute(1) }) },
  ReduceMax: { shape: [2, 5], build: one('ReduceMax', { axes: intsAttribute([1]) }) },
  ReduceMean: {
    shape: [2, 5, 2],
    build: one('ReduceMean', { axes: intsAttribute([-1]), keepdims: intAttribute(false) }),
  },
  'Flatten at the first axis': { shape: [2, 3], build: one('Flatten', { axis: intAttribute(1) }) },
  Split: {
    shape: [2, 5],
    build: (b, x) =>
      b.call('Split', [x, b.integers([2, 3])], { attributes: { axis: intAttribute(1) }, outputCount: 2 }),
  },
  Pad: { shape: [2, 3], build: (b, x) => [b.apply('Pad', [x, b.integers([0, 1, 0, 2])])] },
  'Reshape that keeps a size': {
    shape: [2, 6],
    build: (b, x) => [b.apply('Reshape', [x, b.integers([0, 2, -1])])],
  },
  'Reshape around the batch': {
    shape: [2, 6],
    build: (b, x) => [b.apply('Reshape', [x, b.integers([-1, 3, 2])])],
  },
  'Squeeze of all ones': { shape: [2, 1, 3, 1], build: one('Squeeze'), named: false },
  'Slice with steps': {
    shape: [2, 7],
    build: (b, x) => [
      b.apply('Slice', [x, b.integers([1]), b.integers([99]), b.integers([1]), b.integers([2])]),
    ],
  },
  'Gather along axis 1': {
    shape: [2, 4],
    build: (b, x) => [
      b.apply('Gather', [x, b.constant(int64Tensor('i', [3], [0, 2, 2]))], { axis: intAttribute(1) }),
    ],
  },
  OneHot: {
    shape: [3],
    build: (b, x) => {
      const labels = b.apply('Cast', [x], { to: intAttribute(ElementType.INT64) });
      return [b.apply('OneHot', [labels, b.integers([4]), b.constant(floatTensor('v', [2], [0, 1]))])];
    },
  },
  'comparison with broadcasting': { shape: [2, 3], build: (b, x) => [b.apply('Less', [x, b.scalar(0.5)])] },
  'Concat along axis 1': {
    shape: [2, 3],
    build: (b, x) => [b.apply('Concat', [x, x], { axis: intAttribute(1) })],
  },
  'Transpose without an order': { shape: [2, 3, 4], build: one('Transpose') },
  Expand: { shape: [2, 1], build: (b, x) => [b.apply('Expand', [x, b.integers([1, 4])])] },
  'MatMul of a batch by a matrix': {
    shape: [2, 3, 4],
    build: (b, x) => [b.apply('MatMul', [x, b.constant(floatTensor('w', [4, 5], new Float32Array(20)))])],
  },
  'Conv with groups': {
    shape: [2, 4, 5, 5],
    build: (b, x) => [
      b.apply('Conv', [x, b.constant(floatTensor('w', [4, 1, 3, 3], new Float32Array(36)))], {
        group: intAttribute(4),
      }),
    ],
  },
};

function modelOf(shape: Shape, build: Build): { model: OnnxModel; values: readonly Value[] } {
  const builder = new GraphBuilder();
  const values = build(builder, builder.input('x', floatType(shape)));
  values.forEach((value, index) => builder.output(`y${index}`, value));
  return { model: finishModel(builder.finish('g')), values };
}

function reasonOf(run: () => unknown): string {
  try {
    run();
    return '';
  } catch (error) {
    return isDeclaredError(error) ? error.reason : String(error);
  }
}

describe('operators', () => {
  for (const [name, { shape, build, named = true }] of Object.entries(CASES)) {
    it(`infers the shape that ONNX Runtime gives: ${name}`, async () => {
      const data = new Float32Array(shape.reduce((product, size) => product * size, 1)).fill(1);
      const fixed = modelOf(shape, build);
      const outputs = await runModel(fixed.model, { x: { dims: shape, data } });
      fixed.values.forEach((value, index) => assert.deepEqual(value.shape, outputs[`y${index}`]?.dims));
      if (named) {
        const open = modelOf(['N', ...shape.slice(1)], build);
        const expected = fixed.values.map((value) => value.shape.map(String));
        // The batch of each case is the one size that its name stands for.
        const actual = open.values.map((value) =>
          value.shape.map((size) =>
            typeof size === 'string' ? size.replace('N', String(shape[0])) : String(size),
          ),
        );
        assert.deepEqual(actual, expected);
      }
    });
  }

  it('are refused where their inputs do not fit', () => {
    const builder = new GraphBuilder();
    const x = builder.input('x', floatType([2, 3]));
    const image = builder.input('image', floatType([1, 1, 2, 2]));
    const flags = builder.input('flags', { type: ElementType.BOOL, shape: [2, 3] });
    const named = builder.input('named', floatType(['N', 'M']));
    const attempts = [
      () => builder.apply('Add', [x, flags]),
      () => builder.apply('Add', [x, builder.constant(floatTensor('c', [4], [1, 2, 3, 4]))]),
      () => builder.apply('Add', [x]),
      () => builder.apply('MatMul', [x, x]),
      () => builder.apply('Gemm', [x, x]),
      () => builder.apply('Reshape', [x, builder.integers([4, 2])]),
      () => builder.apply('Reshape', [x, builder.integers([-1, 4])]),
      () => builder.apply('Reshape', [x, x]),
      () => builder.apply('Transpose', [x], { perm: intsAttribute([0, 0]) }),
      () => builder.apply('Concat', [x, image], { axis: intAttribute(0) }),
      () => builder.apply('Softmax', [x], { axis: intAttribute(5) }),
      () => builder.apply('MaxPool', [image]),
      () => builder.apply('MaxPool', [image], { kernel_shape: intsAttribute([3, 3]) }),
      () => builder.apply('Split', [x]),
      () => builder.apply('Slice', [named, builder.integers([0]), builder.integers([1])]),
    ];
    assert.deepEqual(
      attempts.map(reasonOf),
      attempts.map(() => 'SHAPE_MISMATCH'),
    );
  });

  it('that are not known are refused by name, unless the caller states their types', () => {
    const builder = new GraphBuilder();
    const x = builder.input('x', floatType([2]));
    assert.equal(
      reasonOf(() => builder.apply('Einsum', [x])),
      'OPERATOR_UNSUPPORTED',
    );
    assert.equal(
      reasonOf(() => builder.call('Relu', [x], { domain: 'other' })),
      'OPERATOR_UNSUPPORTED',
    );
    const [output] = builder.call('Einsum', [x], { types: [floatType([1])] });
    assert.deepEqual(output?.shape, [1]);
  });
});

describe('import of a graph', () => {
  it('replays nodes and constants with another batch', () => {
    const { model } = modelOf(['N', 4], (b, x) => [
      b.apply('Gemm', [x, b.constant(floatTensor('w', [4, 2], new Float32Array(8)))]),
    ]);
    const builder = new GraphBuilder();
    const values = importGraph(builder, model.graph, new Map([['x', builder.input('x', floatType([8, 4]))]]));
    assert.deepEqual(values.get('y0')?.shape, [8, 2]);
  });

  it('refuses a node that reads what nothing has written', () => {
    const { model } = modelOf([2], one('Relu'));
    assert.equal(
      reasonOf(() => importGraph(new GraphBuilder(), model.graph, new Map())),
      'MODEL_MALFORMED',
    );
  });
});

describe('graph builder', () => {
  it('gives two outputs to one value and passes inputs and constants through', async () => {
    const builder = new GraphBuilder();
    const x = builder.input('x', floatType([2]));
    const doubled = builder.apply('Add', [x, x]);
    builder.output('a', doubled);
    builder.output('b', doubled);
    builder.output('c', x);
    builder.output('d', builder.scalar(7));
    const data = Float32Array.from([1, 2]);
    const outputs = await runModel(finishModel(builder.finish('g')), { x: { dims: [2], data } });
    assert.deepEqual(
      ['a', 'b', 'c', 'd'].map((name) => [...(outputs[name]?.data ?? [])]),
      [[2, 4], [2, 4], [1, 2], [7]],
    );
  });

  it('never gives one name twice', () => {
    const builder = new GraphBuilder();
    const names = ['x', 'x', 'x'].map((name) => builder.input(name, floatType([1])).name);
    assert.equal(new Set(names).size, 3);
  });
});
