import assert from 'node:assert/strict';
import { isDeclaredError } from 'lamella/sdk';
import {
  adam,
  bindInputs,
  bytesOf,
  buildTrainingGraph,
  finishModel,
  floatTensor,
  floatType,
  GraphBuilder,
  type OnnxModel,
  type Optimizer,
  readParameters,
  stochasticGradientDescent,
  withParameters,
} from 'lamella/sdk/onnx';
import { runModel, type TestTensor } from './run-model.ts';

const FEATURES = Float32Array.from([1, 2, -1, 0.5, 0.3, 0.7]);
const LABELS = [0, 2, 1];
const STEPS: readonly (readonly [number, number])[] = [
  [0, 2],
  [1, 0],
  [2, 1],
];

function linear(): OnnxModel {
  const builder = new GraphBuilder();
  const x = builder.input('features', floatType(['N', 2]));
  const weights = builder.constant(floatTensor('weights', [2, 3], [0.1, -0.2, 0.3, 0.4, 0.5, -0.6]));
  const bias = builder.constant(floatTensor('bias', [3], [0, 0, 0]));
  builder.output('scores', builder.apply('Gemm', [x, weights, bias]));
  return finishModel(builder.finish('linear'));
}

/** Loss and gradient of one batch in plain arithmetic. */
function reference(
  weights: readonly number[],
  batch: readonly number[],
): { loss: number; gradient: number[] } {
  const gradient = weights.map(() => 0);
  let loss = 0;
  for (const row of batch) {
    const [a, b] = [FEATURES[row * 2] ?? 0, FEATURES[row * 2 + 1] ?? 0];
    const exponentials = [0, 1, 2].map((c) =>
      Math.exp(a * (weights[c] ?? 0) + b * (weights[3 + c] ?? 0) + (weights[6 + c] ?? 0)),
    );
    const sum = exponentials.reduce((total, value) => total + value, 0);
    exponentials.forEach((value, c) => {
      const hit = LABELS[row] === c;
      const error = (value / sum - (hit ? 1 : 0)) / batch.length;
      loss -= hit ? Math.log(value / sum) / batch.length : 0;
      [a, b, 1].forEach((input, place) => {
        gradient[place * 3 + c] = (gradient[place * 3 + c] ?? 0) + error * input;
      });
    });
  }
  return { loss, gradient };
}

async function run(
  optimizer: Optimizer,
  learningRate: number,
  weightDecay: number = 0,
): Promise<Readonly<Record<string, TestTensor>>> {
  const model = linear();
  const graph = buildTrainingGraph(model, { batchSize: 2, optimizer, weightDecay });
  const resident = bindInputs(graph.model, [
    { name: 'features', type: 1, dims: [3, 2], rawData: bytesOf(FEATURES) },
    { name: 'labels', type: 7, dims: [3], rawData: bytesOf(BigInt64Array.from(LABELS, BigInt)) },
  ]);
  const states = Array.from({ length: optimizer.stateCount }, (_, index) => [
    `state_${index}`,
    { dims: [9], data: new Float32Array(9) },
  ]);
  return runModel(resident, {
    weights: { dims: [9], data: readParameters(model) },
    ...Object.fromEntries(states),
    indices: { dims: [3, 2], data: BigInt64Array.from(STEPS.flat(), BigInt) },
    rates: { dims: [3], data: Float32Array.from(STEPS, (_, step) => optimizer.rate(learningRate, step + 1)) },
  });
}

function close(actual: TestTensor | undefined, expected: readonly number[]): void {
  assert.equal(actual?.data.length, expected.length);
  expected.forEach((value, index) => {
    assert.ok(
      Math.abs(Number(actual?.data[index]) - value) < 1e-5,
      `${index}: ${actual?.data[index]} against ${value}`,
    );
  });
}

describe('training graph', () => {
  it('runs several steps of gradient descent in one run, as plain arithmetic does', async () => {
    const outputs = await run(stochasticGradientDescent(), 0.5);
    let weights = [...readParameters(linear())];
    const losses = STEPS.map((batch) => {
      const { loss, gradient } = reference(weights, batch);
      weights = weights.map((value, index) => value - 0.5 * (gradient[index] ?? 0));
      return loss;
    });
    close(outputs['losses'], losses);
    close(outputs['new_weights'], weights);
  });

  it('runs Adam as the paper writes it', async () => {
    const outputs = await run(adam(), 0.01);
    let weights = [...readParameters(linear())];
    let mean = weights.map(() => 0);
    let square = weights.map(() => 0);
    STEPS.forEach((batch, step) => {
      const { gradient } = reference(weights, batch);
      mean = mean.map((value, index) => 0.9 * value + 0.1 * (gradient[index] ?? 0));
      square = square.map((value, index) => 0.999 * value + 0.001 * (gradient[index] ?? 0) ** 2);
      weights = weights.map((value, index) => {
        const corrected = (mean[index] ?? 0) / (1 - 0.9 ** (step + 1));
        return (
          value - (0.01 * corrected) / (Math.sqrt((square[index] ?? 0) / (1 - 0.999 ** (step + 1))) + 1e-8)
        );
      });
    });
    close(outputs['new_weights'], weights);
  });

  it('carries momentum and weight decay', async () => {
    const outputs = await run(stochasticGradientDescent({ momentum: 0.9 }), 0.1, 0.01);
    let weights = [...readParameters(linear())];
    let velocity = weights.map(() => 0);
    for (const batch of STEPS) {
      const { gradient } = reference(weights, batch);
      velocity = velocity.map(
        (value, index) => 0.9 * value + (gradient[index] ?? 0) + 0.01 * (weights[index] ?? 0),
      );
      weights = weights.map((value, index) => value - 0.1 * (velocity[index] ?? 0));
    }
    close(outputs['new_weights'], weights);
    close(outputs['new_state_0'], velocity);
  });

  it('puts trained weights back into the model', () => {
    const vector = Float32Array.from({ length: 9 }, (_, index) => index);
    assert.deepEqual(readParameters(withParameters(linear(), vector)), vector);
    assert.throws(() => withParameters(linear(), new Float32Array(8)), isDeclaredError);
  });

  it('refuses a model without weights and one with integer samples', () => {
    const builder = new GraphBuilder();
    builder.output('y', builder.apply('Relu', [builder.input('x', floatType(['N', 2]))]));
    const other = new GraphBuilder();
    other.output('y', other.apply('Identity', [other.input('x', { type: 7, shape: ['N', 2] })]));
    for (const graph of [builder.finish('a'), other.finish('b')]) {
      assert.throws(
        () => buildTrainingGraph(finishModel(graph), { batchSize: 2, optimizer: adam() }),
        (error) => isDeclaredError(error) && error.reason === 'MODEL_NOT_TRAINABLE',
      );
    }
  });
});
