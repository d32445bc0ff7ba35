import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { GRPCInferenceService } from 'lamella/proto/inference/grpc_inference_service';
import {
  BalancePolicy,
  BalanceService,
  type Endpoint,
} from 'lamella/proto/lamella/serving/v1/balance_service';
import { ElementType, encodeModel, finishModel, GraphBuilder } from 'lamella/sdk/onnx';
import { startTestKernel, type TestKernel } from '../../../sdk/testing/index.ts';
import { eventually } from '../../support/eventually.ts';
import { ROOT } from '../serving-kernel.ts';
import { needTool } from '../tool.ts';
import { OtherServer, pythonWithKServe, pythonWithTriton } from './other-server.ts';

const PLUGINS: readonly string[] = ['model/registry', 'serving/infer', 'serving/balance'].map((box) =>
  path.join(ROOT, 'dist', 'plugins', box),
);

function doubleModel(): Uint8Array {
  const graph = new GraphBuilder();
  const x = graph.input('x', { type: ElementType.FLOAT, shape: ['N', 3] });
  graph.output('y', graph.apply('Add', [x, x]));
  return encodeModel(finishModel(graph.finish('double')));
}

describe("a balancer in front of NVIDIA's Triton and KServe's server", function () {
  this.timeout(600_000);
  let repository = '';
  let triton: OtherServer;
  let kserve: OtherServer;
  let kernel: TestKernel;

  before(async function () {
    const pythons = await needTool(this, 'Triton and KServe from PyPI', async () => ({
      triton: await pythonWithTriton(),
      kserve: await pythonWithKServe(),
    }));
    triton = await OtherServer.start(pythons.triton, 'triton');
    kserve = await OtherServer.start(pythons.kserve, 'kserve');
    repository = await mkdtemp(path.join(tmpdir(), 'lamella-other-servers-'));
    await mkdir(path.join(repository, 'double/1'), { recursive: true });
    await writeFile(path.join(repository, 'double/1/model.onnx'), doubleModel());
    const plugins = {
      'serving.infer': { config: { modelRepositories: [repository], modelControlMode: 'none' } },
      'serving.balance': { capabilities: { network: [triton.grpc, kserve.grpc] } },
    };
    kernel = await startTestKernel({ plugins: PLUGINS, config: { plugins } });
  });
  after(async () => {
    await kernel?.stop();
    await triton?.kill();
    await kserve?.kill();
    await rm(repository, { recursive: true, force: true });
  });

  async function infer(values: readonly number[], modelVersion = ''): Promise<number[]> {
    const { outputs, rawOutputContents } = await kernel.call(GRPCInferenceService).modelInfer({
      modelName: 'double',
      modelVersion,
      inputs: [{ name: 'x', datatype: 'FP32', shape: [1n, 3n] }],
      rawInputContents: [new Uint8Array(Float32Array.from(values).buffer)],
    });
    assert.deepEqual([outputs[0]?.name, outputs[0]?.datatype, outputs[0]?.shape], ['y', 'FP32', [1n, 3n]]);
    return [...new Float32Array(Uint8Array.from(rawOutputContents[0] ?? []).buffer)];
  }

  async function endpoints(): Promise<Map<string, Endpoint>> {
    const list = await kernel.call(BalanceService).listEndpoints({ model: 'double' });
    return new Map(list.endpoints.map((endpoint) => [endpoint.address, endpoint]));
  }

  it('gets the same answer of Triton, of KServe and of its own model, and compares them by a mirror', async () => {
    const splits = [
      { label: 'own', weight: 1 },
      { label: 'triton', endpoints: [{ address: triton.grpc }] },
      { label: 'kserve', endpoints: [{ address: kserve.grpc }] },
    ];
    const balance = kernel.call(BalanceService);
    await balance.setTraffic({
      traffic: { model: 'double', splits, mirror: { split: 'triton', percent: 100 } },
    });
    for (const split of ['own', 'triton', 'kserve', '']) {
      assert.deepEqual(await infer([1, -2.5, 1e6], split), [2, -5, 2e6], split);
    }
    await eventually(async () => {
      const { report } = await balance.getMirrorReport({ model: 'double' });
      assert.equal(report?.different, 0n, report?.samples[0]?.difference);
      assert.equal(report.failed, 0n);
      return report.equal > 0n;
    });
  });

  it('loses nothing when Triton is killed with kill -9, and asks it again when it is back', async () => {
    const targets = [{ address: triton.grpc }, { address: kserve.grpc }];
    const traffic = {
      model: 'double',
      splits: [{ label: 'stable', weight: 1, endpoints: targets }],
      policy: BalancePolicy.ROUND_ROBIN,
      idempotent: true,
    };
    await kernel.call(BalanceService).setTraffic({ traffic });
    let isOver = false;
    let answers = 0;
    const caller = async (): Promise<void> => {
      while (!isOver) {
        assert.deepEqual(await infer([answers, 0, 1]).then(([, ...rest]) => rest), [0, 2]);
        answers += 1;
      }
    };
    const callers = Promise.all([caller(), caller(), caller(), caller()]);
    const isAvailable = async (): Promise<boolean> =>
      (await endpoints()).get(triton.grpc)?.available === true;
    const requests = async (): Promise<bigint> => (await endpoints()).get(triton.grpc)?.requests ?? 0n;
    const disturb = async (): Promise<void> => {
      await eventually(async () => (await requests()) > 50n);
      await triton.kill();
      await eventually(async () => !(await isAvailable()));
      const before = answers;
      await eventually(() => answers > before + 50);
      await triton.start();
      await eventually(isAvailable);
      const atReturn = await requests();
      await eventually(async () => (await requests()) > atReturn + 20n);
    };
    await Promise.race([disturb(), callers]).finally(() => {
      isOver = true;
    });
    await callers;
  });
});
