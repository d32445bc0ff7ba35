import assert from 'node:assert/strict';
import { isDeclaredError } from 'lamella/sdk';
import { decodeModel, modelInputs, modelOutputs, readParameters } from 'lamella/sdk/onnx';
import { type BuildOptions, Catalog } from '../../../plugins/model/catalog/catalog.ts';
import { runModel } from '../../sdk/onnx/run-model.ts';

const catalog = new Catalog({ maxParameters: 1_000_000 });

function options(changes: Partial<BuildOptions> = {}): BuildOptions {
  return { architecture: 'cnn', parameters: {}, inputShape: [28, 28], classes: 10, seed: 1, ...changes };
}

function reason(changes: Partial<BuildOptions>): string {
  try {
    catalog.build(options(changes));
    return '';
  } catch (error) {
    return isDeclaredError(error) ? error.reason : String(error);
  }
}

describe('model catalogue', () => {
  it('lists its architectures in the order of their ids', () => {
    assert.deepEqual(
      catalog.list().map(({ id }) => id),
      ['cnn', 'linear', 'mlp'],
    );
  });

  it('counts weights and work of a linear model', () => {
    const { cost, onnx } = catalog.build(options({ architecture: 'linear', inputShape: [28, 28] }));
    assert.deepEqual(cost, { parameters: 7850, flops: 15_680, sizeBytes: onnx.byteLength });
  });

  it('counts the weights of the small CNN', () => {
    const { cost } = catalog.build(options({ parameters: { filters1: 8, filters2: 16 } }));
    assert.equal(cost.parameters, 9098);
    assert.equal(cost.flops, 2 * 8 * 9 * 784 + 2 * 16 * 72 * 196 + 2 * 784 * 10);
  });

  for (const [architecture, inputShape] of [
    ['cnn', [28, 28]],
    ['cnn', [3, 8, 8]],
    ['linear', [4]],
    ['mlp', [2, 3]],
  ] as const) {
    it(`builds a runnable ${architecture} for rows of [${inputShape.join(', ')}]`, async () => {
      const model = decodeModel(catalog.build(options({ architecture, inputShape })).onnx);
      assert.deepEqual(modelInputs(model)[0]?.shape, ['N', ...inputShape]);
      assert.deepEqual(modelOutputs(model)[0]?.shape, ['N', 10]);
      const size = inputShape.reduce<number>((product, dimension) => product * dimension, 1);
      const outputs = await runModel(model, {
        features: { dims: [2, ...inputShape], data: new Float32Array(2 * size).fill(0.5) },
      });
      assert.deepEqual(outputs['logits']?.dims, [2, 10]);
      assert.ok(outputs['logits'].data.every((value) => Number.isFinite(Number(value))));
    });
  }

  it('gives the same bytes for the same seed and other weights for another', () => {
    assert.deepEqual(catalog.build(options()).onnx, catalog.build(options()).onnx);
    const [first, second] = [1, 2].map((seed) =>
      readParameters(decodeModel(catalog.build(options({ seed })).onnx)),
    );
    assert.notDeepEqual(first, second);
  });

  it('proposes convolutions for images, a hidden layer for many rows and a linear model for few', () => {
    const best = (shape: readonly number[], rows: number): string | undefined =>
      catalog.recommend(shape, rows, 10)[0]?.architecture;
    assert.deepEqual([best([28, 28], 100), best([20], 5000), best([20], 50)], ['cnn', 'mlp', 'linear']);
  });

  it('refuses what it cannot build by reason', () => {
    assert.deepEqual(
      [
        reason({ architecture: 'transformer' }),
        reason({ parameters: { filters: 8 } }),
        reason({ parameters: { filters1: 1.5 } }),
        reason({ parameters: { filters1: '8' } }),
        reason({ parameters: { filters1: 1e9 } }),
        reason({ inputShape: [784] }),
        reason({ inputShape: [] }),
        reason({ inputShape: [0, 28] }),
        reason({ inputShape: [2, 2] }),
        reason({ classes: 1 }),
        reason({ architecture: 'linear', inputShape: [1_000_000] }),
      ],
      [
        'ARCHITECTURE_UNKNOWN',
        'PARAMETER_INVALID',
        'PARAMETER_INVALID',
        'PARAMETER_INVALID',
        'PARAMETER_INVALID',
        'INPUT_UNFIT',
        'INPUT_UNFIT',
        'INPUT_UNFIT',
        'INPUT_UNFIT',
        'INPUT_UNFIT',
        'MODEL_TOO_LARGE',
      ],
    );
  });
});
