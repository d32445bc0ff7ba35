import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Client } from 'lamella/sdk';
import { GRPCInferenceService } from 'lamella/proto/inference/grpc_inference_service';
import { startTestKernel, type TestKernel } from '../../../sdk/testing/index.ts';
import { ROOT } from '../../e2e/serving-kernel.ts';

/** A layers model in the files of TensorFlow.js: y = x times 2 for the first of two values, times 3 for the other, plus 1. */
const MODEL = {
  format: 'layers-model',
  modelTopology: {
    class_name: 'Sequential',
    config: {
      name: 'scale',
      layers: [
        {
          class_name: 'Dense',
          config: {
            name: 'y',
            units: 2,
            activation: 'linear',
            use_bias: true,
            batch_input_shape: [null, 2],
            dtype: 'float32',
          },
        },
      ],
    },
  },
  weightsManifest: [
    {
      paths: ['weights.bin'],
      weights: [
        { name: 'y/kernel', shape: [2, 2], dtype: 'float32' },
        { name: 'y/bias', shape: [2], dtype: 'float32' },
      ],
    },
  ],
};

describe('the backend for TensorFlow.js', function () {
  this.timeout(60_000);
  let folder: string;
  let kernel: TestKernel;
  let inference: Client<typeof GRPCInferenceService>;

  const put = async (name: string, model: object): Promise<void> => {
    await mkdir(path.join(folder, name, '1'), { recursive: true });
    await writeFile(path.join(folder, name, 'config.pbtxt'), 'backend: "tfjs"');
    await writeFile(path.join(folder, name, '1', 'model.json'), JSON.stringify(model));
    const weights = new Uint8Array(Float32Array.of(2, 0, 0, 3, 1, 1).buffer);
    await writeFile(path.join(folder, name, '1', 'weights.bin'), weights);
  };

  before(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'lamella-tfjs-'));
    await put('scale', MODEL);
    const [manifest] = MODEL.weightsManifest;
    await put('outside', {
      ...MODEL,
      weightsManifest: [{ ...manifest, paths: ['../../scale/1/weights.bin'] }],
    });
    await put('broken', { modelTopology: {}, weightsManifest: [] });
    kernel = await startTestKernel({
      plugins: [
        path.join(ROOT, 'dist', 'plugins', 'model', 'registry'),
        path.join(ROOT, 'dist', 'plugins', 'serving', 'infer'),
        path.join(ROOT, 'examples', 'tfjs-backend'),
      ],
      config: {
        plugins: {
          'serving.infer': { config: { modelRepositories: [folder] } },
          'example.tfjs-backend': { config: { models: folder } },
        },
      },
    });
    inference = kernel.call(GRPCInferenceService);
  });
  after(async () => {
    await kernel.stop();
    await rm(folder, { recursive: true, force: true });
  });

  it('runs layers models, the rows of several callers in one batch', async () => {
    await inference.repositoryModelLoad({ modelName: 'scale' });
    const { inputs, outputs } = await inference.modelMetadata({ name: 'scale' });
    const [input] = inputs;
    assert.ok(input !== undefined);
    assert.deepEqual([input.datatype, input.shape, outputs.length], ['FP32', [-1n, 2n], 1]);
    const callers = Array.from({ length: 20 }, (_, caller) => caller);
    const answers = await Promise.all(
      callers.map((caller) =>
        inference.modelInfer({
          modelName: 'scale',
          inputs: [{ name: input.name, datatype: 'FP32', shape: [1n, 2n] }],
          rawInputContents: [new Uint8Array(Float32Array.of(caller, caller).buffer)],
        }),
      ),
    );
    assert.deepEqual(
      answers.map(({ rawOutputContents: [bytes = new Uint8Array()] }) => [
        ...new Float32Array(new Uint8Array(bytes).buffer),
      ]),
      callers.map((caller) => [caller * 2 + 1, caller * 3 + 1]),
    );
  });

  for (const [name, problem] of [
    ['outside', /does not lie beside model\.json/],
    ['broken', /The layers model 'broken' cannot be opened/],
  ] as const) {
    it(`refuses the model '${name}' with the reason`, async () => {
      const load = Promise.resolve(inference.repositoryModelLoad({ modelName: name }));
      await assert.rejects(load, ({ message }: Error) => problem.test(message));
    });
  }
});
