import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { create } from '@bufbuild/protobuf';
import { GRPCInferenceService } from 'lamella/proto/inference/grpc_inference_service';
import { StoreService } from 'lamella/proto/lamella/data/v1/store_service';
import {
  type CreateVersionRequest,
  CreateVersionRequestSchema,
  RegistryService,
} from 'lamella/proto/lamella/model/v1/registry_service';
import { MonitorService } from 'lamella/proto/lamella/serving/v1/monitor_service';
import { type Column, decodeArrow } from 'lamella/sdk/arrow';
import { startTestKernel, type TestKernel } from 'lamella/sdk/testing';
import { lightModel } from '../../../e2e/serving-kernel.ts';
import { eventually } from '../../../support/eventually.ts';

const BOXES = ['data/store', 'model/registry', 'serving/infer', 'serving/monitor'];
const DATASET = 'datasets/inference.digits';

async function* versionParts(): AsyncGenerator<CreateVersionRequest> {
  yield create(CreateVersionRequestSchema, { part: { case: 'header', value: { model: 'digits' } } });
  yield create(CreateVersionRequestSchema, { part: { case: 'chunk', value: lightModel() } });
}

describe('the log of payloads', function () {
  this.timeout(120_000);
  let home: string;
  let kernel: TestKernel | undefined;

  async function start(samples: readonly object[], payloadLog: object): Promise<TestKernel> {
    return startTestKernel({
      home,
      plugins: BOXES.map((box) => path.resolve('dist/plugins', box)),
      config: { plugins: { 'serving.monitor': { config: { samples, payloadLog } } } },
    });
  }

  beforeEach(async () => {
    home = await mkdtemp(path.join(tmpdir(), 'lamella-payload-'));
  });

  afterEach(async () => {
    await kernel?.stop();
    kernel = undefined;
    await rm(home, { recursive: true, force: true });
  });

  async function loadModel(): Promise<void> {
    assert.ok(kernel !== undefined);
    const registry = kernel.call(RegistryService);
    const { version } = await registry.createVersion(versionParts());
    await registry.setAlias({ name: 'models/digits/aliases/champion', version: version?.name ?? '' });
    await kernel.call(GRPCInferenceService).repositoryModelLoad({ modelName: 'digits' });
  }

  async function infer(id: string, rows: number, bytes = rows * 784): Promise<unknown> {
    const inputs = [{ name: 'image', datatype: 'UINT8', shape: [BigInt(rows), 28n, 28n] }];
    return kernel?.call(GRPCInferenceService).modelInfer({
      modelName: 'digits',
      id,
      inputs,
      rawInputContents: [new Uint8Array(bytes).fill(rows)],
    });
  }

  async function value(expression: string): Promise<number> {
    const answer = await kernel?.call(MonitorService).queryMetrics({ expression });
    return answer?.series[0]?.points[0]?.value ?? 0;
  }

  /** All rows of the dataset, by column. */
  async function rows(): Promise<Map<string, unknown[]>> {
    const store = kernel?.call(StoreService);
    assert.ok(store !== undefined);
    const { versions } = await store.listVersions({ parent: DATASET });
    const columns = new Map<string, unknown[]>();
    for (const { name } of versions) {
      for await (const { arrowIpc } of store.readVersion({ name })) {
        for (const batch of decodeArrow(arrowIpc).batches) {
          for (const column of batch.columns) {
            columns.set(column.name, [...(columns.get(column.name) ?? []), ...plain(column, batch.rowCount)]);
          }
        }
      }
    }
    return columns;
  }

  function plain({ shape, valid, values }: Column, rowCount: number): unknown[] {
    const width = shape.reduce((product, size) => product * size, 1);
    const all = Array.from(values as ArrayLike<unknown>);
    return Array.from({ length: rowCount }, (_, row) => {
      if (valid?.[row] === 0) return null;
      return shape.length === 0 ? all[row] : all.slice(row * width, (row + 1) * width);
    });
  }

  it('has requests over gRPC and REST, answered and refused, row by row, without what is redacted', async () => {
    kernel = await start([{ model: 'digits', sampleRate: 1, redact: ['probabilities'] }], {
      flushMs: 3_600_000,
    });
    await loadModel();
    // The rules travel with the first question.
    await eventually(async () => {
      await infer('first', 1);
      return (await value('sum(lamella_inference_samples_total)')) > 0;
    });
    await infer('two rows', 2);
    await assert.rejects(infer('short', 1, 5));
    const url = `http://${kernel.addresses.http}/v2/models/digits/infer`;
    const data = Array.from({ length: 784 }, () => 9);
    const inputs = [{ name: 'image', datatype: 'UINT8', shape: [1, 28, 28], data }];
    const response = await fetch(url, { method: 'POST', body: JSON.stringify({ id: 'over REST', inputs }) });
    assert.equal(response.status, 200);
    await kernel.stop();

    // What was sampled is written when the plugin stops, and is there after a restart.
    kernel = await start([], {});
    const table = await rows();
    const row = (id: string, index = 0): Record<string, unknown> => {
      const place = (table.get('request_id') ?? []).findIndex(
        (found, at) => found === id && table.get('row')?.[at] === index,
      );
      assert.notEqual(place, -1, `no row of '${id}' among ${String(table.get('request_id'))}`);
      return Object.fromEntries([...table].map(([name, values]) => [name, values[place]]));
    };
    for (const index of [0, 1]) {
      const { time, latency_ms: latency, ...rest } = row('two rows', index);
      assert.deepEqual(rest, {
        request_id: 'two rows',
        row: index,
        model: 'digits',
        model_version: '1',
        outcome: 'OK',
        'input.image': Array.from({ length: 784 }, () => 2),
        'output.label': 0n,
        'output.probabilities': null,
      });
      assert.ok(Number(latency) > 0 && Math.abs(Number(time) / 1_000 - Date.now()) < 120_000);
    }
    assert.deepEqual(row('over REST')['input.image'], data);
    assert.deepEqual(
      [row('short')['outcome'], row('short')['input.image'], row('short')['output.label']],
      ['REQUEST_INVALID', null, null],
    );
  });

  it('is off unless somebody turns it on', async () => {
    kernel = await start([], { flushMs: 100 });
    await loadModel();
    await infer('unseen', 1);
    const store = kernel.call(StoreService);
    assert.deepEqual((await store.listDatasets({})).datasets, []);
    assert.equal(await value('sum(lamella_inference_samples_total)'), 0);
  });

  it('writes versions as time goes by, and deletes those that are too old', async () => {
    kernel = await start([{ model: '*', sampleRate: 1, mode: 'response' }], { flushMs: 100, keepMs: 1_500 });
    await loadModel();
    const store = kernel.call(StoreService);
    const names = async (): Promise<string[]> => {
      const { versions } = await store.listVersions({ parent: DATASET });
      return versions.map(({ name }) => name);
    };
    await eventually(async () => {
      await infer('a', 1);
      return (await names()).length > 0;
    });
    const [oldest] = await names();
    assert.ok(!(await rows()).has('input.image'));
    await eventually(async () => {
      await infer('b', 1);
      return !(await names()).includes(oldest ?? '');
    });
  });
});
