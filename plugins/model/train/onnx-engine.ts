import {
  bindInputs,
  buildTrainingGraph,
  bytesOf,
  ElementType,
  encodeModel,
  type OnnxModel,
  readParameters,
  seededRandom,
  stateNames,
  withParameters,
} from 'lamella/sdk/onnx';
import { openSession, type OrtSession, type OrtTensor, type OrtTensors } from 'lamella/sdk/ort';
import { TrainingDiverged } from './errors.ts';
import type { Features } from './fragment.ts';
import type { RunOptions } from './run-options.ts';

const FIRST_RUN_STEPS = 32;

/** State of a run in its course. */
export interface EngineProgress {
  /** Pass, from 1. */
  readonly epoch: number;
  /** Steps done. */
  readonly step: number;
  readonly totalSteps: number;
  /** Mean loss of the steps since the last one. */
  readonly loss: number;
  /** Steps since the last one. */
  readonly steps: number;
  /** Rows trained in a second since the last one. */
  readonly samplesPerSecond: number;
}

/** What is trained on. */
export interface EngineInput {
  /** Untrained model: features in, class scores out. */
  readonly model: OnnxModel;
  readonly features: Features;
  readonly labels: BigInt64Array;
  readonly options: RunOptions;
}

/** Where and how finely it runs. */
export interface EngineOptions {
  readonly threads: number;
  readonly progressIntervalMs: number;
  readonly signal: AbortSignal;
}

/**
 * Trains with ONNX Runtime in a child process; returns the model with its new weights.
 *
 * @remarks The rows go into the child once, as constants of the training graph; a run sends only weights, row numbers
 * and rates. Rows that do not fill the last batch of a pass are left out of that pass; the next one has another order.
 * @throws TRAINING_DIVERGED
 */
export async function* trainWithOnnx(
  input: EngineInput,
  engine: EngineOptions,
): AsyncGenerator<EngineProgress, OnnxModel> {
  const { options } = input;
  const rows = input.labels.length;
  const batchSize = Math.min(options.batchSize, rows);
  const { optimizer, weightDecay } = options;
  const graph = buildTrainingGraph(input.model, { batchSize, optimizer, weightDecay });
  const resident = bindInputs(graph.model, [
    {
      name: 'features',
      type: ElementType.FLOAT,
      dims: [rows, ...input.features.shape],
      rawData: bytesOf(input.features.values),
    },
    { name: 'labels', type: ElementType.INT64, dims: [rows], rawData: bytesOf(input.labels) },
  ]);
  await using session = await openSession(
    { model: encodeModel(resident), intraOpThreads: engine.threads },
    { signal: engine.signal },
  );
  const run = new TrainingRun(session, input, { ...engine, batchSize });
  yield* run.train();
  return withParameters(input.model, run.weights);
}

/** One run: its weights, optimiser state and place. */
class TrainingRun {
  readonly #session: OrtSession;
  readonly #options: RunOptions;
  readonly #engine: EngineOptions & { readonly batchSize: number };
  readonly #random: () => number;
  readonly #order: Uint32Array;
  readonly #stepsPerEpoch: number;
  #weights: Float32Array;
  #states: readonly Float32Array[];
  #step = 0;
  #runSteps = FIRST_RUN_STEPS;

  constructor(
    session: OrtSession,
    input: EngineInput,
    engine: EngineOptions & { readonly batchSize: number },
  ) {
    this.#session = session;
    this.#options = input.options;
    this.#engine = engine;
    this.#random = seededRandom(input.options.seed);
    this.#order = Uint32Array.from(input.labels.keys());
    this.#stepsPerEpoch = Math.floor(input.labels.length / engine.batchSize);
    const weights = readParameters(input.model);
    this.#weights = weights;
    this.#states = stateNames(input.options.optimizer).map(() => new Float32Array(weights.length));
  }

  get weights(): Float32Array {
    return this.#weights;
  }

  get #totalSteps(): number {
    return this.#stepsPerEpoch * this.#options.epochs;
  }

  async *train(): AsyncGenerator<EngineProgress> {
    for (let epoch = 1; epoch <= this.#options.epochs; epoch += 1) {
      this.#shuffle();
      for (let start = 0; start < this.#stepsPerEpoch;) {
        const steps = Math.min(this.#runSteps, this.#stepsPerEpoch - start);
        yield await this.#runChunk(epoch, start, steps);
        start += steps;
      }
    }
  }

  /** Fisher and Yates. */
  #shuffle(): void {
    const order = this.#order;
    for (let index = order.length - 1; index > 0; index -= 1) {
      const other = Math.floor(this.#random() * (index + 1));
      const moved = order[index] ?? 0;
      order[index] = order[other] ?? 0;
      order[other] = moved;
    }
  }

  async #runChunk(epoch: number, start: number, steps: number): Promise<EngineProgress> {
    const startMs = performance.now();
    const outputs = await this.#session.run(this.#feeds(start, steps), { signal: this.#engine.signal });
    const elapsedMs = Math.max(performance.now() - startMs, 0.001);
    this.#step += steps;
    this.#weights = floats(outputs['new_weights']);
    this.#states = this.#states.map((_, index) => floats(outputs[`new_state_${index}`]));
    const loss = floats(outputs['losses']).reduce((sum, value) => sum + value, 0) / steps;
    if (!Number.isFinite(loss)) {
      throw new TrainingDiverged({ step: String(this.#step) });
    }
    // Runs grow or shrink towards the interval at which progress is wanted, at most fourfold at once.
    const aim = (steps * this.#engine.progressIntervalMs) / elapsedMs;
    this.#runSteps = Math.max(1, Math.round(Math.min(aim, steps * 4)));
    const samplesPerSecond = (steps * this.#engine.batchSize * 1000) / elapsedMs;
    return { epoch, step: this.#step, totalSteps: this.#totalSteps, loss, steps, samplesPerSecond };
  }

  #feeds(start: number, steps: number): OrtTensors {
    const { batchSize } = this.#engine;
    const rows = this.#order.subarray(start * batchSize, (start + steps) * batchSize);
    const rates = Float32Array.from({ length: steps }, (_, index) => this.#rate(this.#step + index + 1));
    return {
      weights: floatVector(this.#weights),
      ...Object.fromEntries(this.#states.map((state, index) => [`state_${index}`, floatVector(state)])),
      indices: { type: 'int64', dims: [steps, batchSize], data: BigInt64Array.from(rows, BigInt) },
      rates: floatVector(rates),
    };
  }

  /** The learning rate falls along a half cosine (Loshchilov and Hutter, https://arxiv.org/abs/1608.03983). */
  #rate(step: number): number {
    const { optimizer, learningRate } = this.#options;
    const progress = (step - 1) / this.#totalSteps;
    return optimizer.rate(learningRate * 0.5 * (1 + Math.cos(Math.PI * progress)), step);
  }
}

function floatVector(data: Float32Array): OrtTensor {
  return { type: 'float32', dims: [data.length], data };
}

function floats(tensor: OrtTensor | undefined): Float32Array {
  return tensor?.data instanceof Float32Array ? tensor.data : new Float32Array(0);
}
