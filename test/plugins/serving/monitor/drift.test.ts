import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { create } from '@bufbuild/protobuf';
import { timestampMs } from '@bufbuild/protobuf/wkt';
import { GRPCInferenceService } from 'lamella/proto/inference/grpc_inference_service';
import { DataType } from 'lamella/proto/lamella/data/v1/dataset';
import {
  StoreService,
  type WriteVersionRequest,
  WriteVersionRequestSchema,
} from 'lamella/proto/lamella/data/v1/store_service';
import {
  type CreateVersionRequest,
  CreateVersionRequestSchema,
  RegistryService,
} from 'lamella/proto/lamella/model/v1/registry_service';
import {
  AlertState,
  type ModelDrift,
  MonitorService,
} from 'lamella/proto/lamella/serving/v1/monitor_service';
import { encodeArrow } from 'lamella/sdk/arrow';
import { ElementType, encodeModel, finishModel, GraphBuilder } from 'lamella/sdk/onnx';
import { startTestKernel, type TestKernel } from 'lamella/sdk/testing';
import { eventually } from '../../../support/eventually.ts';

const ROWS = 20_000;

/** Evenly spread values from 0 to 100 of both elements, in no order. */
function value(row: number, element: number): number {
  return ((row * (element === 0 ? 7_919 : 104_729)) % 1_000) / 10;
}

function* values(rows: number, moved: number): Generator<number> {
  for (let row = 0; row < rows; row += 1) {
    yield value(row, 0);
    yield value(row, 1) + moved;
  }
}

function copyModel(): Uint8Array {
  const graph = new GraphBuilder();
  const input = graph.input('x', { type: ElementType.FLOAT, shape: ['N', 2] });
  graph.output('y', graph.apply('Identity', [input]));
  return encodeModel(finishModel(graph.finish('copy')));
}

async function* dataset(): AsyncGenerator<WriteVersionRequest> {
  const header = { dataset: 'train', step: { name: 'test' } };
  yield create(WriteVersionRequestSchema, { part: { case: 'header', value: header } });
  const column = {
    name: 'x',
    type: DataType.FLOAT32,
    shape: [2],
    values: Float32Array.from(values(ROWS, 0)),
  };
  const arrowIpc = encodeArrow({ rowCount: ROWS, columns: [column] });
  yield create(WriteVersionRequestSchema, { part: { case: 'arrowIpc', value: arrowIpc } });
}

async function* modelParts(datasetVersion: string): AsyncGenerator<CreateVersionRequest> {
  const header = { model: 'copy', datasetVersion };
  yield create(CreateVersionRequestSchema, { part: { case: 'header', value: header } });
  yield create(CreateVersionRequestSchema, { part: { case: 'chunk', value: copyModel() } });
}

describe('the watch for drift', function () {
  this.timeout(120_000);
  let home: string;
  let kernel: TestKernel;
  let reference: string;

  async function start(): Promise<TestKernel> {
    const boxes = ['data/store', 'model/registry', 'serving/infer', 'serving/monitor'];
    return startTestKernel({
      home,
      plugins: boxes.map((box) => path.resolve('dist/plugins', box)),
      config: {
        plugins: {
          'serving.monitor': {
            config: {
              intervalMs: 200,
              maxSeries: 1_000,
              samples: [{ model: 'copy', sampleRate: 1, log: false }],
              drift: { maxRows: 200, minimumRows: 100 },
            },
          },
        },
      },
    });
  }

  before(async () => {
    home = await mkdtemp(path.join(tmpdir(), 'lamella-drift-'));
    kernel = await start();
    const { version } = await kernel.call(StoreService).writeVersion(dataset());
    reference = version?.name ?? '';
    const registry = kernel.call(RegistryService);
    const created = await registry.createVersion(modelParts(reference));
    await registry.setAlias({ name: 'models/copy/aliases/champion', version: created.version?.name ?? '' });
    await kernel.call(GRPCInferenceService).repositoryModelLoad({ modelName: 'copy' });
  });

  after(async () => {
    await kernel.stop();
    await rm(home, { recursive: true, force: true });
  });

  async function infer(rows: number, moved: number): Promise<void> {
    const inputs = [{ name: 'x', datatype: 'FP32', shape: [BigInt(rows), 2n] }];
    const raw = new Uint8Array(Float32Array.from(values(rows, moved)).buffer);
    await kernel
      .call(GRPCInferenceService)
      .modelInfer({ modelName: 'copy', inputs, rawInputContents: [raw] });
  }

  async function drift(): Promise<ModelDrift | undefined> {
    const { models } = await kernel.call(MonitorService).listDrift({ model: 'copy' });
    return models[0];
  }

  /** Sends rows until so many that are sampled say what is asked for: sampling begins a moment after the start. */
  async function watched(moved: number, holds: (seen: ModelDrift) => boolean): Promise<ModelDrift> {
    let seen: ModelDrift | undefined;
    await eventually(async () => {
      await infer(50, moved);
      seen = await drift();
      return seen !== undefined && holds(seen);
    });
    assert.ok(seen !== undefined);
    return seen;
  }

  it('says what is missing before there are enough rows', async () => {
    const seen = await watched(0, ({ rowCount }) => rowCount > 0n);
    if (seen.rowCount < 100n) assert.match(seen.problem, /^\d+ rows are there, 100 are needed$/);
    assert.equal(seen.model, 'copy');
    assert.equal(seen.modelVersion, '1');
  });

  it('finds nothing in requests like the training data', async () => {
    const seen = await watched(0, ({ problem, features }) => problem === '' && features.length > 0);
    assert.equal(seen.referenceVersion, reference);
    assert.deepEqual(seen.features.map(({ feature }) => feature).toSorted(), ['input.x[0]', 'input.x[1]']);
    for (const { drifted, stabilityIndex, distance } of seen.features) {
      assert.ok(!drifted && stabilityIndex < 0.2 && distance < 0.15, `${stabilityIndex} ${distance}`);
    }
  });

  it('names the feature that has moved, how far, and since when, and an alert is on its way', async () => {
    const beforeMs = Date.now();
    const seen = await watched(60, ({ features }) => (features[0]?.distance ?? 0) > 0.55);
    const [moved, still] = seen.features;
    assert.ok(moved !== undefined && still !== undefined);
    assert.equal(moved.feature, 'input.x[1]');
    assert.ok(moved.drifted && moved.stabilityIndex > 1 && Math.abs(moved.distance - 0.6) < 0.05);
    assert.ok(!still.drifted && still.driftStartTime === undefined);
    const startMs = moved.driftStartTime === undefined ? 0 : timestampMs(moved.driftStartTime);
    assert.ok(startMs >= beforeMs && startMs <= Date.now());
    await eventually(async () => {
      const { alerts } = await kernel.call(MonitorService).listAlerts({});
      return alerts.some(
        ({ labels, state }) =>
          labels['alertname'] === 'FeatureDrifted' &&
          labels['feature'] === 'input.x[1]' &&
          state === AlertState.PENDING,
      );
    });

    // Since when it drifts outlives a restart, after which the rows come anew.
    await kernel.stop();
    kernel = await start();
    const again = await watched(60, ({ features }) => features[0]?.drifted === true);
    const [first] = again.features;
    assert.equal(first?.driftStartTime === undefined ? 0 : timestampMs(first.driftStartTime), startMs);
  });
});
