import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { GRPCInferenceService } from 'lamella/proto/inference/grpc_inference_service';
import { PluginService } from 'lamella/proto/lamella/kernel/v1/plugin_service';
import { processTree } from '../../benchmarks/harness/process-cpu.ts';
import { parseAddress, withService } from '../../kernel/cli/connect.ts';
import { ServingKernel } from './serving-kernel.ts';

describe('inference under fire', function () {
  this.timeout(120_000);
  let kernel: ServingKernel;

  before(async () => {
    kernel = await ServingKernel.start();
  });
  after(() => kernel.stop());

  /** Calls from many callers while something happens; the number of answers. */
  const callsDuring = (disturb: () => Promise<void>): Promise<number> =>
    withService(parseAddress(kernel.grpc), GRPCInferenceService, async (inference) => {
      let answers = 0;
      let stop = false;
      const caller = async (): Promise<void> => {
        while (!stop) {
          const inputs = [{ name: 'image', datatype: 'UINT8', shape: [1n, 28n, 28n] }];
          const rawInputContents = [new Uint8Array(784)];
          const { outputs } = await inference.modelInfer({ modelName: 'digits', inputs, rawInputContents });
          assert.equal(outputs.length, 2);
          answers += 1;
        }
      };
      const callers = Promise.all(Array.from({ length: 8 }, caller));
      await Promise.race([disturb(), callers]);
      stop = true;
      await callers;
      return answers;
    });

  it('loses no call while its plugin is reloaded', async () => {
    const answers = await callsDuring(async () => {
      await withService(await kernel.asOwner(), PluginService, (plugins) =>
        plugins.reloadPlugin({ id: 'serving.infer' }),
      );
    });
    assert.ok(answers > 8, String(answers));
  });

  it('loses no call when the processes that run the model are killed', async function () {
    if (process.platform !== 'linux') this.skip();
    const answers = await callsDuring(async () => {
      const before = processTree(kernel.pid).slice(1);
      assert.ok(before.length > 0);
      for (const pid of before) process.kill(pid, 'SIGKILL');
      // Over once another process serves.
      const isNew = (pid: number): boolean => pid !== kernel.pid && !before.includes(pid);
      while (!processTree(kernel.pid).some(isNew)) await delay(20);
    });
    assert.ok(answers > 0, String(answers));
  });
});
