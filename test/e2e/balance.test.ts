import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { GRPCInferenceService } from 'lamella/proto/inference/grpc_inference_service';
import { BalancePolicy, BalanceService } from 'lamella/proto/lamella/serving/v1/balance_service';
import { parseAddress, withService } from '../../kernel/cli/connect.ts';
import { startTestKernel, type TestKernel } from '../../sdk/testing/index.ts';
import { KillableKernel } from '../support/killable-kernel.ts';
import { runLamella } from '../support/run-lamella.ts';
import { ROOT, ServingKernel } from './serving-kernel.ts';

const PLUGINS: readonly string[] = ['model/registry', 'serving/infer', 'serving/balance'].map((box) =>
  path.join(ROOT, 'dist', 'plugins', box),
);

describe('a balancer in front of two inference servers', function () {
  this.timeout(240_000);
  let servers: ServingKernel[] = [];
  let near: TestKernel;

  before(async () => {
    servers = await Promise.all([ServingKernel.start(), ServingKernel.start()]);
    const network = servers.map(({ grpc }) => grpc);
    const config = { plugins: { 'serving.balance': { capabilities: { network } } } };
    near = await startTestKernel({ plugins: PLUGINS, config });
    const endpoints = network.map((address) => ({ address }));
    const splits = [{ label: 'stable', weight: 1, endpoints }];
    const policy = BalancePolicy.LEAST_LOADED;
    const traffic = { model: 'digits', splits, policy, idempotent: true };
    await near.call(BalanceService).setTraffic({ traffic });
  });
  after(async () => {
    await near?.stop();
    await Promise.all(servers.map((server) => server.stop()));
  });

  it('loses no request that may be made twice when one of them is killed', async () => {
    const requestsOf = async (): Promise<bigint[]> => {
      const { endpoints } = await near.call(BalanceService).listEndpoints({ model: 'digits' });
      return endpoints.map(({ requests }) => requests);
    };
    let answers = 0;
    let told = (): void => undefined;
    let isOver = false;
    await withService(parseAddress(near.addresses.grpc), GRPCInferenceService, async (inference) => {
      const inputs = [{ name: 'image', datatype: 'UINT8', shape: [1n, 28n, 28n] }];
      const caller = async (): Promise<void> => {
        while (!isOver) {
          const rawInputContents = [new Uint8Array(784)];
          const { outputs } = await inference.modelInfer({ modelName: 'digits', inputs, rawInputContents });
          assert.equal(outputs.length, 2);
          answers += 1;
          told();
        }
      };
      const more = async (count: number): Promise<void> => {
        for (const goal = answers + count; answers < goal;)
          await new Promise<void>((resolve) => {
            told = resolve;
          });
      };
      const callers = Promise.all(Array.from({ length: 8 }, caller));
      const disturb = async (): Promise<void> => {
        await more(300);
        assert.ok((await requestsOf()).every((requests) => requests > 0n));
        await servers[0]?.kill();
        await more(300);
      };
      await Promise.race([disturb(), callers]).finally(() => {
        isOver = true;
      });
      await callers;
    });
  });
});

describe('a kernel with a balancer that is killed', function () {
  this.timeout(240_000);

  it('has its traffic and the progress of its canary again', async () => {
    const home = await mkdtemp(path.join(tmpdir(), 'lamella-balance-'));
    const kernel = new KillableKernel(home, PLUGINS);
    const balance = async (...words: string[]): Promise<readonly ShownTraffic[]> => {
      const { code, out, err } = await runLamella(['balance', ...words, '--json', '--home', home]);
      assert.equal(code, 0, err);
      return JSON.parse(out) as readonly ShownTraffic[];
    };
    try {
      await kernel.start();
      const splits = [{ label: 'stable', weight: 1 }, { label: 'canary' }];
      const file = path.join(home, 'traffic.json');
      await writeFile(file, JSON.stringify({ model: 'kept', splits, canary: { manual: true } }));
      await balance('set', file);
      await balance('promote', 'kept');
      await kernel.kill();
      await kernel.start();
      const [kept] = await balance('list');
      assert.deepEqual(
        [kept?.model, kept?.canaryStatus.state, kept?.canaryStatus.percent],
        ['kept', 'CANARY_STATE_RUNNING', 5],
      );
    } finally {
      await kernel.stop();
      await rm(home, { recursive: true, force: true });
    }
  });
});

interface ShownTraffic {
  readonly model: string;
  readonly canaryStatus: { readonly state: string; readonly percent: number };
}
