import type { MessageInitShape } from '@bufbuild/protobuf';
import { StoreService } from 'lamella/proto/lamella/data/v1/store_service';
import { CatalogService } from 'lamella/proto/lamella/model/v1/catalog_service';
import type { TrainRequest, TrainResponseSchema } from 'lamella/proto/lamella/model/v1/train_service';
import type { CallContext, Client, Host } from 'lamella/sdk';
import { decodeModel, encodeModel, type OnnxModel } from 'lamella/sdk/onnx';
import type { TrainConfig } from './config.ts';
import { ColumnUnusable, EngineUnavailable, NoTrainingRows, TrainRequestInvalid } from './errors.ts';
import { castFragment, type Features, type Fragment, pipelineFragment, prepareFeatures } from './fragment.ts';
import { type EngineProgress, trainWithOnnx } from './onnx-engine.ts';
import { readTrainingRows, type TrainingRows } from './rows.ts';
import { type RunOptions, runOptions, splitOptions } from './run-options.ts';
import { continueFrom, servedModel, signatureOf } from './served-model.ts';

/** One message of a run. */
export type TrainEvent = MessageInitShape<typeof TrainResponseSchema>;

/** An untrained model and what it costs. */
interface Untrained {
  readonly model: OnnxModel;
  readonly parameters: bigint;
  readonly flops: bigint;
}

/** Everything that a run trains on. */
interface Prepared {
  readonly rows: TrainingRows;
  readonly fragment: Fragment;
  readonly features: Features;
}

/** Figures of a run while it goes on. */
interface Tally {
  epoch: number;
  lossSum: number;
  steps: number;
  samples: number;
}

/** Trains models on dataset versions. */
export class Trainer {
  readonly #config: TrainConfig;
  readonly #store: Client<typeof StoreService>;
  readonly #catalog: Client<typeof CatalogService>;

  constructor(host: Pick<Host<TrainConfig>, 'config' | 'call'>) {
    this.#config = host.config;
    this.#store = host.call(StoreService);
    this.#catalog = host.call(CatalogService);
  }

  /** Runs one training; ends with the served graph. */
  async *train(request: TrainRequest, context: CallContext): AsyncGenerator<TrainEvent> {
    checkRequest(request);
    const { architecture } = await this.#catalog.getArchitecture({ id: request.architecture }, { context });
    const options = runOptions(request.hyperparameters, architecture?.defaultHyperparameters);
    const prepared = await this.#prepare(request, context);
    const untrained = await this.#build(request, prepared.features, { seed: options.seed, context });
    const startMs = performance.now();
    const tally: Tally = { epoch: 0, lossSum: 0, steps: 0, samples: 0 };
    const trained = yield* this.#run(untrained.model, prepared, { options, tally, signal: context.signal });
    const elapsedMs = Math.max(performance.now() - startMs, 0.001);
    const served = servedModel(prepared.fragment.model, trained, request.classes);
    const onnx = encodeModel(served);
    yield {
      event: {
        case: 'completed',
        value: {
          onnx,
          signature: signatureOf(served, request.classLabels),
          loss: tally.lossSum / Math.max(tally.steps, 1),
          samplesPerSecond: (tally.samples * 1000) / elapsedMs,
          duration: durationOf(elapsedMs),
          trainingRows: BigInt(prepared.rows.count),
          cost: {
            parameters: untrained.parameters,
            flops: untrained.flops,
            sizeBytes: BigInt(onnx.byteLength),
          },
        },
      },
    };
  }

  async #prepare(request: TrainRequest, context: CallContext): Promise<Prepared> {
    const { version } = await this.#store.getVersion({ name: request.datasetVersion }, { context });
    const split = splitOptions(request.split);
    const field = version?.schema?.fields.find(({ name }) => name === request.featureColumn);
    if (field === undefined) {
      throw new ColumnUnusable({
        column: request.featureColumn,
        detail: `'${request.datasetVersion}' does not have it`,
      });
    }
    const shape = field.shape.map(Number);
    const columns = [request.featureColumn, request.labelColumn, split.keyColumn];
    // The name from the answer is exact, so that 'latest' cannot move between the two calls.
    const name = version?.name ?? request.datasetVersion;
    const stream = this.#store.readVersion({ name, columns: [...new Set(columns)] }, { context });
    const rows = await readTrainingRows(chunksOf(stream), {
      featureColumn: request.featureColumn,
      labelColumn: request.labelColumn,
      classes: request.classes,
      split,
      width: shape.reduce((product, size) => product * size, 1),
      limitMib: this.#config.maxFeaturesMib,
    });
    if (rows.count === 0) {
      throw new NoTrainingRows({ version: name });
    }
    const bytes = request.pipeline?.onnx ?? new Uint8Array(0);
    const fragment =
      bytes.byteLength === 0
        ? castFragment(request.featureColumn, rows.type, shape)
        : pipelineFragment(bytes);
    const limitMib = this.#config.maxFeaturesMib;
    const features = await prepareFeatures(fragment, rows, { shape, limitMib, signal: context.signal });
    return { rows, fragment, features };
  }

  async #build(
    request: TrainRequest,
    features: Features,
    { seed, context }: { seed: number; context: CallContext },
  ): Promise<Untrained> {
    const { architecture, parameters, classes, initialOnnx } = request;
    const inputShape = features.shape.map(BigInt);
    const built = await this.#catalog.build(
      { architecture, classes, inputShape, seed, ...(parameters === undefined ? {} : { parameters }) },
      { context },
    );
    const model = decodeModel(built.onnx);
    return {
      model: initialOnnx.byteLength === 0 ? model : continueFrom(model, initialOnnx),
      parameters: built.cost?.parameters ?? 0n,
      flops: built.cost?.flops ?? 0n,
    };
  }

  async *#run(
    model: OnnxModel,
    { features, rows }: Prepared,
    { options, tally, signal }: { options: RunOptions; tally: Tally; signal: AbortSignal },
  ): AsyncGenerator<TrainEvent, OnnxModel> {
    const { threads, progressIntervalMs } = this.#config;
    const input = { model, features, labels: rows.labels, options };
    const events = trainWithOnnx(input, { threads, progressIntervalMs, signal });
    const batchSize = Math.min(options.batchSize, rows.count);
    try {
      for (;;) {
        const next = await events.next();
        if (next.done === true) {
          return next.value;
        }
        count(tally, next.value, batchSize);
        yield progressToProto(next.value);
      }
    } finally {
      // Ends the child process when the caller stops reading half-way.
      await events.return(model);
    }
  }
}

function count(tally: Tally, progress: EngineProgress, batchSize: number): void {
  if (progress.epoch !== tally.epoch) {
    tally.epoch = progress.epoch;
    tally.lossSum = 0;
    tally.steps = 0;
  }
  tally.lossSum += progress.loss * progress.steps;
  tally.steps += progress.steps;
  tally.samples += progress.steps * batchSize;
}

function progressToProto({ epoch, step, totalSteps, loss, samplesPerSecond }: EngineProgress): TrainEvent {
  return {
    event: {
      case: 'progress',
      value: { epoch, step: BigInt(step), totalSteps: BigInt(totalSteps), loss, samplesPerSecond },
    },
  };
}

function durationOf(elapsedMs: number): { seconds: bigint; nanos: number } {
  return { seconds: BigInt(Math.floor(elapsedMs / 1000)), nanos: Math.floor((elapsedMs % 1000) * 1e6) };
}

async function* chunksOf(
  stream: AsyncIterable<{ readonly arrowIpc: Uint8Array }>,
): AsyncGenerator<Uint8Array> {
  for await (const { arrowIpc } of stream) {
    yield arrowIpc;
  }
}

function checkRequest(request: TrainRequest): void {
  for (const field of ['datasetVersion', 'architecture', 'featureColumn', 'labelColumn'] as const) {
    if (request[field] === '') {
      throw new TrainRequestInvalid({ field, detail: 'it is required' });
    }
  }
  if (request.classes < 2) {
    throw new TrainRequestInvalid({ field: 'classes', detail: 'at least 2 are needed' });
  }
  if (request.engine !== '' && request.engine !== 'onnx') {
    throw new EngineUnavailable({ engine: request.engine, detail: 'this version has the engine onnx only' });
  }
  if (request.device !== '' && request.device !== 'cpu') {
    throw new EngineUnavailable({
      engine: request.device,
      detail: 'this version trains on the device cpu only',
    });
  }
}
