import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { GRPCInferenceService } from 'lamella/proto/inference/grpc_inference_service';
import { BalanceService } from 'lamella/proto/lamella/serving/v1/balance_service';
import { startTestKernel, type TestKernel } from '../../../../sdk/testing/index.ts';
import { eventually } from '../../../support/eventually.ts';
import { addModel } from '../infer-fixture.ts';
import { rawRequest } from '../infer-subject.ts';
import { PLUGINS } from './balance-subject.ts';

describe('versions of a model of this kernel', function () {
  this.timeout(60_000);
  let folder: string;
  let kernel: TestKernel;

  before(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'lamella-balance-'));
    for (const version of [1, 2]) {
      const place = path.join(folder, 'add', String(version));
      await mkdir(place, { recursive: true });
      await writeFile(path.join(place, 'model.onnx'), addModel(version));
    }
    await writeFile(path.join(folder, 'add', 'config.pbtxt'), 'version_policy: { all { } }\n');
    const config = {
      plugins: { 'serving.infer': { config: { modelRepositories: [folder], modelControlMode: 'none' } } },
    };
    kernel = await startTestKernel({ plugins: PLUGINS, config });
  });
  after(async () => {
    await kernel?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  /** What was added to 1. */
  const added = async (modelName: string, modelVersion = ''): Promise<number> => {
    const { rawOutputContents } = await kernel
      .call(GRPCInferenceService)
      .modelInfer(rawRequest([1, 1], { modelName, modelVersion }));
    return new Float32Array(new Uint8Array(rawOutputContents[0] ?? []).buffer)[0] ?? NaN;
  };
  const set = async (model: string, stable: number, next: number): Promise<void> => {
    const splits = [
      { label: 'stable', model: 'add', version: '1', weight: stable },
      { label: 'next', model: 'add', version: '2', weight: next },
    ];
    await kernel.call(BalanceService).setTraffic({ traffic: { model, splits } });
  };

  it('are divided under the name of the model itself, and are its own again afterwards', async () => {
    assert.equal(await added('add'), 3);
    await set('add', 1, 0);
    await eventually(async () => (await added('add')) === 2);
    assert.equal(await added('add', 'next'), 3);
    await set('add', 0, 1);
    await eventually(async () => (await added('add')) === 3);
    await kernel.call(BalanceService).deleteTraffic({ model: 'add' });
    await eventually(async () => (await added('add', '1')) === 2);
  });

  it('are described and divided under another name', async () => {
    await set('sum', 1, 1);
    const answers = new Set<number>();
    await eventually(async () => answers.add(await added('sum')).size === 2);
    const inference = kernel.call(GRPCInferenceService);
    assert.equal((await inference.modelReady({ name: 'sum' })).ready, true);
    const { name, inputs } = await inference.modelMetadata({ name: 'sum' });
    assert.deepEqual([name, inputs[0]?.name], ['sum', 'x']);
    assert.ok((await inference.modelConfig({ name: 'sum' })).config !== undefined);
  });

  it('lose no request while either plugin is loaded anew', async () => {
    await set('busy', 1, 1);
    let answers = 0;
    let isOver = false;
    const caller = async (): Promise<void> => {
      while (!isOver) {
        assert.ok([2, 3].includes(await added('busy')));
        answers += 1;
        // Nothing here leaves the process, so others would never have their turn.
        await new Promise<void>((resolve) => {
          setImmediate(resolve);
        });
      }
    };
    const callers = Promise.all(Array.from({ length: 4 }, caller));
    const reload = async (): Promise<void> => {
      await kernel.reload('serving.balance');
      await kernel.reload('serving.infer');
      await kernel.reload('serving.balance');
    };
    await Promise.race([reload(), callers]).finally(() => {
      isOver = true;
    });
    await callers;
    assert.ok(answers > 0);
  });

  it('stay divided when either plugin is loaded anew', async () => {
    await set('add', 1, 0);
    await kernel.reload('serving.balance');
    await eventually(async () => (await added('add')) === 2);
    await kernel.reload('serving.infer');
    await eventually(async () => (await added('add')) === 2);
    await kernel.unload('serving.balance');
    await eventually(async () => (await added('add')) === 3);
  });
});
