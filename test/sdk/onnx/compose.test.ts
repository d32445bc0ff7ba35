import assert from 'node:assert/strict';
import { isDeclaredError } from 'lamella/sdk';
import {
  chainModels,
  classifierHead,
  ElementType,
  finishModel,
  floatTensor,
  floatType,
  GraphBuilder,
  intAttribute,
  modelInputs,
  modelOutputs,
  type OnnxModel,
} from 'lamella/sdk/onnx';
import { runModel } from './run-model.ts';

function preprocessing(): OnnxModel {
  const builder = new GraphBuilder();
  const image = builder.input('image', { type: ElementType.UINT8, shape: ['N', 2, 2] });
  const floats = builder.apply('Cast', [image], { to: intAttribute(ElementType.FLOAT) });
  const scaled = builder.apply('Div', [floats, builder.scalar(255)]);
  builder.output('features', builder.apply('Reshape', [scaled, builder.integers([-1, 4])]));
  return finishModel(builder.finish('preprocess'));
}

function linear(inputs: number = 4): OnnxModel {
  const builder = new GraphBuilder();
  const x = builder.input('features', floatType(['N', inputs]));
  const weights = builder.constant(
    floatTensor(
      'scalar',
      [inputs, 2],
      Float32Array.from({ length: inputs * 2 }, (_, i) => i),
    ),
  );
  builder.output('logits', builder.apply('MatMul', [x, weights]));
  return finishModel(builder.finish('linear'));
}

describe('composition of models', () => {
  it('serves raw pixels with probabilities and a label from one graph', async () => {
    const served = chainModels(chainModels(preprocessing(), linear()), classifierHead(2));
    assert.deepEqual(modelInputs(served), [{ name: 'image', type: ElementType.UINT8, shape: ['N', 2, 2] }]);
    assert.deepEqual(modelOutputs(served), [
      { name: 'probabilities', type: ElementType.FLOAT, shape: ['N', 2] },
      { name: 'label', type: ElementType.INT64, shape: ['N'] },
    ]);
    const outputs = await runModel(served, {
      image: { dims: [1, 2, 2], data: Uint8Array.from([255, 0, 0, 255]) },
    });
    // Scores are 0 + 6 and 1 + 7.
    const expected = 1 / (1 + Math.exp(-2));
    assert.ok(Math.abs(Number(outputs['probabilities']?.data[1]) - expected) < 1e-6);
    assert.deepEqual([...(outputs['label']?.data ?? [])], [1n]);
  });

  it('refuses models whose shapes or operator sets do not fit', () => {
    const newer = { ...linear(), opsetImports: [{ domain: '', version: 21 }] };
    for (const second of [linear(5), newer]) {
      assert.throws(
        () => chainModels(preprocessing(), second),
        (error) => isDeclaredError(error) && error.reason === 'MODELS_NOT_COMPOSABLE',
      );
    }
  });
});
