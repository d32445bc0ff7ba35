import { create, type DescService, type MessageInitShape } from '@bufbuild/protobuf';
import { StoreService } from 'lamella/proto/lamella/data/v1/store_service';
import { CatalogService } from 'lamella/proto/lamella/model/v1/catalog_service';
import { type TrainCompletedSchema, TrainRequestSchema } from 'lamella/proto/lamella/model/v1/train_service';
import { type CallContext, type Client, isHoldout } from 'lamella/sdk';
import { ElementType, encodeModel, finishModel, GraphBuilder, intAttribute } from 'lamella/sdk/onnx';
import { openSession } from 'lamella/sdk/ort';
import { Catalog } from '../../plugins/model/catalog/catalog.ts';
import { catalogService } from '../../plugins/model/catalog/service.ts';
import { Trainer } from '../../plugins/model/train/trainer.ts';
import { type Digits, digitsAsArrow, PIXELS } from './digits.ts';

const VERSION = 'datasets/digits/versions/1';

/** Figures of one run of the trainer. */
export interface LamellaResult {
  /** Rows trained in a second once it runs: median of the progress messages. */
  readonly samplesPerSecond: number;
  /** Rows trained in a second over the run, the start of the child process included. */
  readonly overallSamplesPerSecond: number;
  /** Time of the whole call: reading, preparing, building, training, composing. */
  readonly wallSeconds: number;
  /** Time of the training itself. */
  readonly trainSeconds: number;
  readonly trainingRows: number;
  /** Accuracy on the rows held out. */
  readonly accuracy: number;
  readonly modelBytes: number;
}

/** Trains on the digits with the architecture's own settings, unless others are given. */
export async function trainWithLamella(
  digits: Digits,
  architecture: string,
  hyperparameters: { readonly epochs?: number } = {},
): Promise<LamellaResult> {
  const trainer = new Trainer({
    config: { maxFeaturesMib: 1024, threads: 1, progressIntervalMs: 500 },
    call: <Service extends DescService>(service: Service): Client<Service> => clientOf(service, digits),
  });
  const request = create(TrainRequestSchema, {
    datasetVersion: VERSION,
    architecture,
    featureColumn: 'image',
    labelColumn: 'label',
    classes: 10,
    pipeline: { onnx: scaling() },
    hyperparameters,
  });
  const startMs = performance.now();
  const rates: number[] = [];
  for await (const { event } of trainer.train(request, CONTEXT)) {
    if (event?.case === 'progress') {
      rates.push(event.value.samplesPerSecond ?? 0);
    } else if (event?.case === 'completed') {
      const wallSeconds = (performance.now() - startMs) / 1000;
      return result(event.value, { wallSeconds, rates, digits });
    }
  }
  throw new Error('The trainer ended without a model.');
}

async function result(
  completed: MessageInitShape<typeof TrainCompletedSchema>,
  run: { readonly wallSeconds: number; readonly rates: readonly number[]; readonly digits: Digits },
): Promise<LamellaResult> {
  const { onnx = new Uint8Array(0), samplesPerSecond = 0, trainingRows = 0n, duration } = completed;
  const sorted = run.rates.toSorted((left, right) => left - right);
  return {
    samplesPerSecond: Math.round(sorted[Math.floor(sorted.length / 2)] ?? 0),
    overallSamplesPerSecond: Math.round(samplesPerSecond),
    wallSeconds: run.wallSeconds,
    trainSeconds: Number(duration?.seconds ?? 0n) + (duration?.nanos ?? 0) / 1e9,
    trainingRows: Number(trainingRows),
    accuracy: await accuracy(run.digits, onnx),
    modelBytes: onnx.byteLength,
  };
}

const CONTEXT: CallContext = {
  signal: new AbortController().signal,
  deadlineMs: undefined,
  requestId: 'benchmark',
  headers: new Map(),
  responseHeaders: new Map(),
  responseTrailers: new Map(),
  peer: 'benchmark',
};

/** Store and catalogue without a kernel between, so that the figures are the trainer's alone. */
function clientOf<Service extends DescService>(service: Service, digits: Digits): Client<Service> {
  const store: Partial<Client<typeof StoreService>> = {
    getVersion: () =>
      Promise.resolve({
        $typeName: 'lamella.data.v1.GetVersionResponse',
        version: { name: VERSION, schema: { fields: [{ name: 'image', shape: [28n, 28n] }] } },
      } as never),
    readVersion: async function* () {
      yield {
        $typeName: 'lamella.data.v1.ReadVersionResponse',
        arrowIpc: await Promise.resolve(digitsAsArrow(digits)),
      };
    },
  };
  const catalog = catalogService(new Catalog({ maxParameters: 50_000_000 }));
  const clients = new Map<string, unknown>([
    [StoreService.typeName, store],
    [CatalogService.typeName, catalog],
  ]);
  return clients.get(service.typeName) as Client<Service>;
}

function scaling(): Uint8Array {
  const builder = new GraphBuilder();
  const image = builder.input('image', { type: ElementType.UINT8, shape: ['N', 28, 28] });
  const floats = builder.apply('Cast', [image], { to: intAttribute(ElementType.FLOAT) });
  builder.output('features', builder.apply('Div', [floats, builder.scalar(255)]));
  return encodeModel(finishModel(builder.finish('scale')));
}

/** Runs the served graph on the raw pixels of the rows held out. */
async function accuracy(digits: Digits, model: Uint8Array): Promise<number> {
  const held = Array.from({ length: digits.count }, (_, row) => row).filter((row) => isHoldout(row, 0.2, 0));
  const data = new Uint8Array(held.length * PIXELS);
  held.forEach((row, place) =>
    data.set(digits.images.subarray(row * PIXELS, (row + 1) * PIXELS), place * PIXELS),
  );
  await using session = await openSession({ model });
  const { label } = await session.run({ image: { type: 'uint8', dims: [held.length, 28, 28], data } });
  const hits = held.filter((row, place) => Number(label?.data[place]) === digits.labels[row]);
  return hits.length / held.length;
}
