import { type Code as CodeType, Code, isDeclaredError } from 'lamella/sdk';
import type { OrtSession, OrtTensor, OrtTensors } from 'lamella/sdk/ort';
import type { BatchAnswer } from './batch-entry.ts';
import { batchKey } from './batch.ts';
import { Batcher } from './batcher.ts';
import type { Cancellation } from './cancellation.ts';
import { classify, type WantedOutput } from './classification.ts';
import { DeadlinePassed, RequestCancelled, RequestInvalid } from './errors.ts';
import { type Feeds, type InferInput, readFeeds } from './infer-input.ts';
import type { FailureReason, InferMetrics } from './infer-metrics.ts';
import type { ModelConfig } from 'lamella/proto/inference/model_config';
import { type ModelPort, type ModelShape, reshapedDims } from './model-shape.ts';
import type { QueuePolicies } from './queue-policy.ts';
import { cutOutputs, padInputs, type ShapeBuckets } from './shape-buckets.ts';
import { ModelStatisticsCounter } from './statistics.ts';

/** One request for a model. */
export interface InferCall {
  /** Inputs. */
  readonly inputs: readonly InferInput[];
  /** Outputs that are wanted; empty means all, as they are. */
  readonly outputs: readonly WantedOutput[];
  /** Tells when nobody waits any more. */
  readonly cancellation: Cancellation;
  /** Moment after which nobody waits for the answer, in milliseconds since the epoch. */
  readonly deadlineMs?: number | undefined;
  /** Longest time in the queue in milliseconds. */
  readonly timeoutMs?: number | undefined;
  /** Priority from 1, the highest; 0 for the default of the model. */
  readonly priority?: number | undefined;
}

/** What a loaded model is made of. */
export interface LoadedModelParts {
  /** Name, version, inputs and outputs. */
  readonly shape: ModelShape;
  /** Its completed configuration. */
  readonly config: ModelConfig;
  /** Names of the classes of outputs that have such. */
  readonly classNames: ClassNames;
  /** The open model; closed with it. */
  readonly session: OrtSession;
  /** How requests wait. */
  readonly policies: QueuePolicies;
  /** How requests of different sizes share a batch; `undefined` when they do not. */
  readonly buckets: ShapeBuckets | undefined;
  /** Longest time of one run in milliseconds. */
  readonly runTimeoutMs: number;
  /** Where requests are counted. */
  readonly metrics: InferMetrics;
  /** What it was made of: the file and the configuration that was given; another text means another model. */
  readonly origin: string;
}

/** Names of classes by output, each at the place of its index. */
export type ClassNames = ReadonlyMap<string, readonly string[]>;

const REASONS: ReadonlyMap<CodeType, FailureReason> = new Map<CodeType, FailureReason>([
  [Code.CANCELLED, 'CANCELED'],
  [Code.DEADLINE_EXCEEDED, 'CANCELED'],
  [Code.RESOURCE_EXHAUSTED, 'REJECTED'],
]);

/** A version of a model that answers requests. */
export class LoadedModel {
  readonly shape: ModelShape;
  readonly config: ModelConfig;
  readonly origin: string;
  readonly statistics: ModelStatisticsCounter = new ModelStatisticsCounter();
  readonly #classNames: ClassNames;
  readonly #buckets: ShapeBuckets | undefined;
  /** True when requests may differ in more than their rows. */
  readonly #hasOpenDims: boolean;
  readonly #allOutputs: readonly WantedOutput[];
  readonly #reshapes: boolean;
  readonly #session: OrtSession;
  readonly #batcher: Batcher;
  readonly #metrics: InferMetrics;
  readonly #labels: Readonly<Record<string, string>>;

  constructor(parts: LoadedModelParts) {
    const { shape, session, metrics } = parts;
    this.shape = shape;
    this.config = parts.config;
    this.origin = parts.origin;
    this.#classNames = parts.classNames;
    this.#buckets = parts.buckets;
    this.#hasOpenDims = [...shape.inputs.values()].some(({ dims }) => dims.includes(-1, 1));
    this.#session = session;
    this.#metrics = metrics;
    this.#allOutputs = [...shape.outputs.keys()].map((name) => ({ name }));
    this.#reshapes = [...shape.outputs.values()].some(({ reshape }) => reshape !== undefined);
    this.#labels = { model: shape.name, version: shape.version };
    metrics.loaded(this.#labels);
    this.#batcher = new Batcher({
      model: shape.name,
      slots: session.instances,
      policies: parts.policies,
      batchable: shape.batchable,
      maxBatchRows: shape.maxBatchRows,
      run: (tensors) => session.run(tensors, { timeoutMs: parts.runTimeoutMs }),
      onRun: (rows, runMs) => {
        this.statistics.executed(rows, runMs);
        metrics.executed(this.#labels, rows);
        metrics.waiting(this.#labels, this.#batcher.waiting);
      },
    });
  }

  /** Answers one request. @throws REQUEST_INVALID QUEUE_FULL REQUEST_EXPIRED DEADLINE_PASSED REQUEST_CANCELLED ORT_… */
  async infer(call: InferCall): Promise<OrtTensors> {
    const startMs = performance.now();
    try {
      const feeds = readFeeds(call.inputs, this.shape);
      this.#checkRequest(call, feeds.rows);
      const inputMs = performance.now() - startMs;
      const { answer, outputs } = await this.#run(feeds, call);
      const totalMs = performance.now() - startMs;
      const times = { rows: feeds.rows, queueMs: answer.queueMs, inputMs, runMs: answer.runMs, totalMs };
      this.statistics.succeeded(times, Date.now());
      this.#metrics.succeeded(this.#labels, times);
      return this.#pick(outputs, call.outputs);
    } catch (error) {
      this.statistics.failed(performance.now() - startMs);
      this.#metrics.failed(this.#labels, failureReason(error));
      throw error;
    }
  }

  /** Ends the model once all its requests are answered. */
  async close(): Promise<void> {
    await this.#batcher.drained();
    await this.#session.close();
  }

  async #run(
    { tensors, rows }: Feeds,
    call: InferCall,
  ): Promise<{ answer: BatchAnswer; outputs: OrtTensors }> {
    const buckets = this.#buckets;
    const padded = buckets === undefined ? undefined : padInputs(tensors, buckets);
    const inputs = padded?.tensors ?? tensors;
    const answer = await this.#batcher.submit({
      tensors: inputs,
      rows,
      key: this.#hasOpenDims ? batchKey(inputs) : '',
      cancellation: call.cancellation,
      cancelError: () => this.#cancelError(call.deadlineMs),
      deadlineMs: call.deadlineMs,
      timeoutMs: call.timeoutMs,
      priority: call.priority,
    });
    if (padded === undefined || buckets === undefined) return { answer, outputs: answer.outputs };
    return { answer, outputs: cutOutputs(answer.outputs, padded, buckets) };
  }

  #checkRequest(call: InferCall, rows: number): void {
    const { name, batchable, maxBatchRows, outputs } = this.shape;
    if (batchable && (rows < 1 || rows > maxBatchRows)) {
      throw new RequestInvalid({
        problem: `inference request batch-size must be >= 1 and <= ${maxBatchRows} for '${name}', got ${rows}`,
      });
    }
    const names = call.outputs.map((output) => output.name);
    const unknown = names.find((output) => !outputs.has(output));
    if (unknown !== undefined) {
      throw new RequestInvalid({
        problem:
          `unexpected inference output '${unknown}' for model '${name}', allowed outputs are: ` +
          [...outputs.keys()].join(', '),
      });
    }
    const twice = names.find((output, index) => names.indexOf(output) !== index);
    if (twice !== undefined)
      throw new RequestInvalid({ problem: `output '${twice}' already exists in request` });
  }

  #pick(outputs: OrtTensors, wanted: readonly WantedOutput[]): OrtTensors {
    if (wanted.length === 0 && !this.#reshapes) return outputs;
    const picked: Record<string, OrtTensor> = {};
    const shownOutputs = wanted.length === 0 ? this.#allOutputs : wanted;
    for (const { name, classes } of shownOutputs) {
      const tensor = outputs[name];
      const port = this.shape.outputs.get(name);
      if (tensor === undefined || port === undefined) continue;
      const shown = shownTensor(tensor, port, this.shape);
      if (classes === undefined) {
        picked[name] = shown;
        continue;
      }
      const classNames = this.#classNames.get(name);
      picked[name] = classify(name, shown, { classes, isBatched: this.shape.batchable, classNames });
    }
    return picked;
  }

  #cancelError(deadlineMs: number | undefined): Error {
    const passed = deadlineMs !== undefined && Date.now() >= deadlineMs;
    return passed ? new DeadlinePassed({ model: this.shape.name }) : new RequestCancelled({});
  }
}

/** A tensor in the shape that callers see. */
function shownTensor(tensor: OrtTensor, port: ModelPort, { batchable }: ModelShape): OrtTensor {
  if (port.reshape === undefined) return tensor;
  const to = batchable ? port.dims.slice(1) : port.dims;
  return { ...tensor, dims: reshapedDims(tensor.dims, { from: port.reshape, to, batchable }) };
}

function failureReason(error: unknown): FailureReason {
  if (!isDeclaredError(error)) return 'OTHER';
  if (error.reason === 'QUEUE_FULL' || error.reason === 'REQUEST_EXPIRED') return 'REJECTED';
  if (error.reason.startsWith('ORT_') && error.code !== Code.CANCELLED) return 'BACKEND';
  return REASONS.get(error.code) ?? 'OTHER';
}
