import { create, type MessageInitShape } from '@bufbuild/protobuf';
import type { StoreService } from 'lamella/proto/lamella/data/v1/store_service';
import {
  Disturbance,
  type EvaluateRequest,
  type EvaluateResponseSchema,
  type EvaluateRobustnessRequest,
  type EvaluateRobustnessResponseSchema,
  RobustnessResultSchema,
} from 'lamella/proto/lamella/model/v1/evaluate_service';
import type { RegistryService } from 'lamella/proto/lamella/model/v1/registry_service';
import type { CallContext, Client } from 'lamella/sdk';
import { Classifier } from './classifier.ts';
import type { EvaluateConfig } from './config.ts';
import { disturb } from './disturbance.ts';
import { HoldoutEmpty, ModelTooLarge, RequestIncomplete } from './errors.ts';
import { batchesOf, type EvaluationBatch, measure } from './evaluation.ts';
import { type EvaluationRow, holdoutRows } from './rows.ts';

/** The services that evaluation stands on. */
export interface EvaluatorParts {
  readonly store: Client<typeof StoreService>;
  readonly registry: Client<typeof RegistryService>;
  readonly config: EvaluateConfig;
}

const DEFAULT_DISTURBANCES: readonly Disturbance[] = [
  Disturbance.NOISE,
  Disturbance.BLUR,
  Disturbance.CONTRAST,
];
const DEFAULT_STRENGTHS: readonly number[] = [0.05, 0.1, 0.2];

/** Measures models on held-out rows. */
export class Evaluator {
  readonly #parts: EvaluatorParts;

  constructor(parts: EvaluatorParts) {
    this.#parts = parts;
  }

  /** Figures of a model on the hold-out. */
  async evaluate(
    request: EvaluateRequest,
    context: CallContext,
  ): Promise<MessageInitShape<typeof EvaluateResponseSchema>> {
    return this.#withModel(request, context, async (classifier) => {
      const batches = batchesOf(this.#rows(request, context), classifier, this.#parts.config.batchRows);
      const { metrics, runMs } = await measure(batches, classifier, {
        classes: request.classes,
        signal: context.signal,
      });
      if (metrics.rows === 0) throw new HoldoutEmpty({ version: request.datasetVersion });
      return { ...metrics.summary(), samplesPerSecond: metrics.rows / Math.max(runMs / 1_000, 1e-6) };
    });
  }

  /** Accuracy of a model on disturbed inputs. */
  async evaluateRobustness(
    request: EvaluateRobustnessRequest,
    context: CallContext,
  ): Promise<MessageInitShape<typeof EvaluateRobustnessResponseSchema>> {
    const { evaluation } = request;
    if (evaluation === undefined) throw new RequestIncomplete({ detail: 'evaluation is absent' });
    return this.#withModel(evaluation, context, async (classifier) => {
      const batches = await this.#collect(evaluation, classifier, context);
      const accuracy = async (disturbed: Iterable<EvaluationBatch>): Promise<number> => {
        const limits = { classes: evaluation.classes, signal: context.signal };
        return (await measure(disturbed, classifier, limits)).metrics.accuracy;
      };
      const rows = batches.reduce((total, { labels }) => total + labels.length, 0);
      if (rows === 0) throw new HoldoutEmpty({ version: evaluation.datasetVersion });
      const shape = classifier.input.dims.slice(1);
      const range = rangeOf(batches);
      const results = [];
      for (const { disturbance, strength } of combinations(request)) {
        const options = { kind: disturbance, strength, seed: request.seed, shape, range };
        const disturbed = batches.map((batch, index) =>
          disturb(batch, { ...options, seed: request.seed + index }),
        );
        results.push(
          create(RobustnessResultSchema, { disturbance, strength, accuracy: await accuracy(disturbed) }),
        );
      }
      return { rows: BigInt(rows), cleanAccuracy: await accuracy(batches), results };
    });
  }

  async #withModel<Result>(
    request: EvaluateRequest,
    context: CallContext,
    use: (classifier: Classifier) => Promise<Result>,
  ): Promise<Result> {
    checkComplete(request);
    const classifier = await Classifier.open(await this.#modelBytes(request, context), context.signal);
    try {
      return await use(classifier);
    } finally {
      await classifier.close();
    }
  }

  async #modelBytes({ model }: EvaluateRequest, context: CallContext): Promise<Uint8Array> {
    const { maxModelBytes } = this.#parts.config;
    if (model.case === 'onnx') return checkedSize([model.value], maxModelBytes);
    if (model.case !== 'modelVersion') throw new RequestIncomplete({ detail: 'the model is absent' });
    const chunks: Uint8Array[] = [];
    let sizeBytes = 0;
    for await (const { chunk } of this.#parts.registry.readArtifact({ name: model.value }, { context })) {
      chunks.push(chunk);
      sizeBytes += chunk.length;
      if (sizeBytes > maxModelBytes) break;
    }
    return checkedSize(chunks, maxModelBytes);
  }

  #rows(request: EvaluateRequest, context: CallContext): AsyncGenerator<EvaluationRow> {
    const selection = {
      version: request.datasetVersion,
      feature: request.featureColumn,
      label: request.labelColumn,
      slice: request.sliceColumn,
      split: request.split,
    };
    return holdoutRows(this.#parts.store, selection, context);
  }

  async #collect(
    request: EvaluateRequest,
    classifier: Classifier,
    context: CallContext,
  ): Promise<readonly EvaluationBatch[]> {
    const { batchRows, maxRobustnessRows } = this.#parts.config;
    const batches: EvaluationBatch[] = [];
    for await (const batch of batchesOf(
      limited(this.#rows(request, context), maxRobustnessRows),
      classifier,
      batchRows,
    )) {
      batches.push(batch);
    }
    return batches;
  }
}

async function* limited(rows: AsyncIterable<EvaluationRow>, maximum: number): AsyncGenerator<EvaluationRow> {
  let count = 0;
  for await (const row of rows) {
    yield row;
    count += 1;
    if (count === maximum) return;
  }
}

function checkComplete({ datasetVersion, featureColumn, labelColumn }: EvaluateRequest): void {
  const missing = Object.entries({ datasetVersion, featureColumn, labelColumn }).find(
    ([, value]) => value === '',
  );
  if (missing !== undefined) throw new RequestIncomplete({ detail: `${missing[0]} is empty` });
}

function checkedSize(chunks: readonly Uint8Array[], maxBytes: number): Uint8Array {
  const [first] = chunks;
  const bytes = chunks.length === 1 && first !== undefined ? first : Buffer.concat(chunks);
  if (bytes.length > maxBytes) throw new ModelTooLarge({ maxBytes: String(maxBytes) });
  return bytes;
}

function rangeOf(batches: readonly EvaluationBatch[]): {
  readonly minimum: number;
  readonly maximum: number;
} {
  let [minimum, maximum] = [Infinity, -Infinity];
  for (const { values } of batches) {
    for (const value of values) {
      minimum = Math.min(minimum, Number(value));
      maximum = Math.max(maximum, Number(value));
    }
  }
  return { minimum, maximum };
}

function combinations(
  request: EvaluateRobustnessRequest,
): readonly { readonly disturbance: Disturbance; readonly strength: number }[] {
  const disturbances = request.disturbances.length === 0 ? DEFAULT_DISTURBANCES : request.disturbances;
  const strengths = request.strengths.length === 0 ? DEFAULT_STRENGTHS : request.strengths;
  return disturbances.flatMap((disturbance) => strengths.map((strength) => ({ disturbance, strength })));
}
