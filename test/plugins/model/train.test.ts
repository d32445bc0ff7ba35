import assert from 'node:assert/strict';
import { create, type DescService, type MessageInitShape } from '@bufbuild/protobuf';
import { StoreService } from 'lamella/proto/lamella/data/v1/store_service';
import { CatalogService } from 'lamella/proto/lamella/model/v1/catalog_service';
import {
  type TrainCompleted,
  type TrainProgress,
  TrainRequestSchema,
} from 'lamella/proto/lamella/model/v1/train_service';
import {
  type CallContext,
  type Client,
  isDeclaredError,
  isHoldout,
  type ServiceImplementation,
} from 'lamella/sdk';
import {
  bytesOf,
  decodeModel,
  ElementType,
  encodeModel,
  finishModel,
  floatTensor,
  GraphBuilder,
  intAttribute,
} from 'lamella/sdk/onnx';
import { Catalog } from '../../../plugins/model/catalog/catalog.ts';
import { catalogService } from '../../../plugins/model/catalog/service.ts';
import { Trainer } from '../../../plugins/model/train/trainer.ts';
import { runModel } from '../../sdk/onnx/run-model.ts';
import { arrowStream, DATA, ROWS, SIDE, WIDTH } from './bars.ts';

const VERSION = 'datasets/bars/versions/1';

/** A client that calls implementations directly. */
function direct<Service extends DescService>(
  implementation: Partial<ServiceImplementation<Service>>,
): Client<Service> {
  return implementation as unknown as Client<Service>;
}

function store(streams: readonly Uint8Array[]): Client<typeof StoreService> {
  return direct<typeof StoreService>({
    getVersion: () =>
      Promise.resolve({
        version: {
          name: VERSION,
          schema: {
            fields: [
              { name: 'image', shape: [8n, 8n] },
              { name: 'label', shape: [] },
            ],
          },
        },
      }),
    readVersion: async function* () {
      await Promise.resolve();
      for (const stream of streams) {
        // Any cut will do for the reader.
        yield { arrowIpc: stream.subarray(0, 1000) };
        yield { arrowIpc: stream.subarray(1000) };
      }
    },
  });
}

const CONFIG = { maxFeaturesMib: 64, threads: 1, progressIntervalMs: 50 };

function hostOf(streams: readonly Uint8Array[]): ConstructorParameters<typeof Trainer>[0] {
  const catalog = catalogService(new Catalog({ maxParameters: 1_000_000 }));
  const clients = new Map<DescService, unknown>([
    [StoreService, store(streams)],
    [CatalogService, direct<typeof CatalogService>(catalog)],
  ]);
  return {
    config: CONFIG,
    call: <Service extends DescService>(service: Service) => clients.get(service) as Client<Service>,
  };
}

function trainer(...given: readonly Uint8Array[]): Trainer {
  return new Trainer(hostOf(given.length === 0 ? [arrowStream()] : given));
}

function context(signal: AbortSignal = new AbortController().signal): CallContext {
  return {
    signal,
    deadlineMs: undefined,
    requestId: 'test',
    headers: new Map(),
    responseHeaders: new Map(),
    responseTrailers: new Map(),
    peer: 'test',
  };
}

type Init = Exclude<MessageInitShape<typeof TrainRequestSchema>, { readonly $typeName: string }>;

function request(changes: Init = {}): ReturnType<typeof create<typeof TrainRequestSchema>> {
  return create(TrainRequestSchema, {
    datasetVersion: VERSION,
    architecture: 'cnn',
    featureColumn: 'image',
    labelColumn: 'label',
    classes: 2,
    hyperparameters: { epochs: 6, batchSize: 16, learningRate: 0.01, seed: 5 },
    pipeline: { onnx: scaling() },
    classLabels: ['across', 'down'],
    ...changes,
  });
}

function scaling(): Uint8Array {
  const builder = new GraphBuilder();
  const image = builder.input('image', { type: ElementType.UINT8, shape: ['N', SIDE, SIDE] });
  const floats = builder.apply('Cast', [image], { to: intAttribute(ElementType.FLOAT) });
  builder.output(
    'features',
    builder.apply('Div', [floats, builder.constant(floatTensor('scale', [], [255]))]),
  );
  return encodeModel(finishModel(builder.finish('scale')));
}

async function train(
  one: Trainer,
  init: Init = {},
): Promise<{
  progress: Partial<TrainProgress>[];
  completed: Partial<TrainCompleted> & { onnx: Uint8Array };
}> {
  const progress: Partial<TrainProgress>[] = [];
  for await (const { event } of one.train(request(init), context())) {
    if (event?.case === 'completed') {
      return { progress, completed: event.value as TrainCompleted };
    }
    if (event?.case === 'progress') {
      progress.push(event.value as TrainProgress);
    }
  }
  return assert.fail('the stream ended without a model');
}

async function holdoutAccuracy(onnx: Uint8Array): Promise<number> {
  const held = Array.from({ length: ROWS }, (_, row) => row).filter((row) => isHoldout(row, 0.2, 0));
  const data = new Uint8Array(held.length * WIDTH);
  held.forEach((row, place) => data.set(DATA.images.subarray(row * WIDTH, (row + 1) * WIDTH), place * WIDTH));
  const outputs = await runModel(decodeModel(onnx), { image: { dims: [held.length, SIDE, SIDE], data } });
  const hits = held.filter((row, place) => Number(outputs['label']?.data[place]) === DATA.labels[row]);
  return hits.length / held.length;
}

async function reasonOf(one: Trainer, init: Init): Promise<string> {
  try {
    await train(one, init);
    return '';
  } catch (error) {
    return isDeclaredError(error) ? error.reason : String(error);
  }
}

describe('model.train', function () {
  this.timeout(60_000);

  it('learns to tell bars apart and serves raw pixels', async () => {
    const { progress, completed } = await train(trainer());
    const trained = Array.from({ length: ROWS }, (_, row) => row).filter(
      (row) => !isHoldout(row, 0.2, 0),
    ).length;
    assert.equal(completed.trainingRows, BigInt(trained));
    assert.deepEqual(completed.signature?.inputs, [
      { name: 'image', datatype: 'UINT8', shape: [-1n, 8n, 8n], labels: [] },
    ]);
    assert.deepEqual(completed.signature.outputs, [
      { name: 'probabilities', datatype: 'FP32', shape: [-1n, 2n], labels: ['across', 'down'] },
      { name: 'label', datatype: 'INT64', shape: [-1n], labels: [] },
    ]);
    assert.ok((await holdoutAccuracy(completed.onnx)) > 0.95);
    const last = progress.at(-1);
    assert.equal(last?.step, last?.totalSteps);
    assert.ok((last?.loss ?? 1) < (progress[0]?.loss ?? 0));
  });

  it('gives the same model for the same seed, bit by bit', async () => {
    const [first, second] = [await train(trainer()), await train(trainer())];
    assert.deepEqual(bytesOf(first.completed.onnx), bytesOf(second.completed.onnx));
  });

  it('goes on from a model it has served', async () => {
    const { completed } = await train(trainer());
    const hyperparameters = { epochs: 1, batchSize: 16, learningRate: 1e-9, seed: 9 };
    const again = await train(trainer(), { initialOnnx: completed.onnx, hyperparameters });
    assert.ok(Number(again.progress[0]?.loss) < 0.2);
  });

  it('reads chunks that are whole streams of their own as it reads one stream', async () => {
    const halves = [
      [0, 150],
      [150, ROWS],
    ] as const;
    const chunks = halves.map(([start, end]) => arrowStream(DATA.labels, [[start, end]]));
    const { completed } = await train(trainer(...chunks));
    assert.deepEqual(completed.onnx, (await train(trainer())).completed.onnx);
  });

  it('uses the column as it is when there is no pipeline', async () => {
    const { completed } = await train(trainer(), { pipeline: {}, architecture: 'linear' });
    assert.equal(completed.signature?.inputs?.[0]?.datatype, 'UINT8');
  });

  it('refuses wrong requests by reason', async () => {
    const one = trainer();
    const reasons = [
      await reasonOf(one, { datasetVersion: '' }),
      await reasonOf(one, { classes: 0 }),
      await reasonOf(one, { engine: 'tfjs' }),
      await reasonOf(one, { device: 'cuda' }),
      await reasonOf(one, { featureColumn: 'sound' }),
      await reasonOf(one, { labelColumn: 'sound' }),
      await reasonOf(one, { hyperparameters: { optimizer: 'magic' } }),
      await reasonOf(one, { hyperparameters: { epochs: -1 } }),
      await reasonOf(one, { split: { holdoutShare: 1 } }),
      await reasonOf(one, { architecture: 'transformer' }),
      await reasonOf(one, { pipeline: { onnx: Uint8Array.of(1, 2, 3) } }),
      await reasonOf(one, { initialOnnx: scaling() }),
      await reasonOf(trainer(arrowStream(DATA.labels.map((label) => label + 1))), {}),
      await reasonOf(one, {
        hyperparameters: { epochs: 1, optimizer: 'sgd', learningRate: 999, batchSize: 4 },
        pipeline: {},
      }),
    ];
    assert.deepEqual(reasons, [
      'TRAIN_REQUEST_INVALID',
      'TRAIN_REQUEST_INVALID',
      'ENGINE_UNAVAILABLE',
      'ENGINE_UNAVAILABLE',
      'COLUMN_UNUSABLE',
      'COLUMN_UNUSABLE',
      'TRAIN_REQUEST_INVALID',
      'TRAIN_REQUEST_INVALID',
      'TRAIN_REQUEST_INVALID',
      'ARCHITECTURE_UNKNOWN',
      'MODEL_MALFORMED',
      'INITIAL_MODEL_UNFIT',
      'COLUMN_UNUSABLE',
      'TRAINING_DIVERGED',
    ]);
  });

  it('refuses a dataset whose features do not fit the limit', async () => {
    const one = new Trainer({ ...hostOf([arrowStream()]), config: { ...CONFIG, maxFeaturesMib: 0.01 } });
    assert.equal(await reasonOf(one, {}), 'DATASET_TOO_LARGE');
  });

  it('stops in the middle when the caller cancels', async () => {
    const stop = new AbortController();
    const endless = request({ hyperparameters: { epochs: 10_000, batchSize: 16 } });
    let messages = 0;
    await assert.rejects(
      async () => {
        for await (const event of trainer().train(endless, context(stop.signal))) {
          messages += event.event?.case === 'progress' ? 1 : 0;
          stop.abort();
        }
      },
      (error) => isDeclaredError(error) && error.code === 1,
    );
    assert.equal(messages, 1);
  });
});
