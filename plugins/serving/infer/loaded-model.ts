import { randomUUID } from 'node:crypto';
import type { OrtTensors } from 'lamella/sdk/ort';
import type { ModelConfig } from 'lamella/proto/inference/model_config';
import type { SampleRule } from 'lamella/proto/lamella/serving/v1/sample_service';
import { AnswerShape, type ClassNames } from './answer-shape.ts';
import { isDecoupled } from './backend-config.ts';
import { readBatchCost } from './batch-cost.ts';
import { DeadlinePassed, RequestCancelled, RequestInvalid } from './errors.ts';
import type { Executor, OnRun } from './executor.ts';
import { failureReason } from './failure-reason.ts';
import type { InferCall } from './infer-call.ts';
import { type Feeds, readFeeds } from './infer-input.ts';
import type { InferMetrics, ModelMetrics } from './infer-metrics.ts';
import type { ModelCache } from './model-cache.ts';
import type { ModelShape } from './model-shape.ts';
import { processMemory } from './process-memory.ts';
import type { RequestObserver } from './request-observer.ts';
import { traceRequest } from './request-trace.ts';
import { cacheKey, cacheTtlMs } from './response-cache.ts';
import { type MemoryUse, ModelStatisticsCounter, type RequestTimes } from './statistics.ts';

/** What a loaded model is made of. */
export interface LoadedModelParts {
  /** Name, version, inputs and outputs. */
  readonly shape: ModelShape;
  /** Its completed configuration. */
  readonly config: ModelConfig;
  /** Names of the classes of outputs that have such. */
  readonly classNames: ClassNames;
  /** Makes what answers its requests; closed with it. */
  readonly makeExecutor: (onRun: OnRun) => Executor;
  /** Where its answers are kept; `undefined` when they are not. */
  readonly cache: ModelCache | undefined;
  /** Where requests are counted. */
  readonly metrics: InferMetrics;
  /** Told of each request. */
  readonly observer: RequestObserver;
  /** When its load began, on the clock of `performance.now()`. */
  readonly loadStartMs: number;
  /** What it was made of: the file and the configuration that was given; another text means another model. */
  readonly origin: string;
}

/** A version of a model that answers requests. */
export class LoadedModel {
  readonly shape: ModelShape;
  readonly config: ModelConfig;
  readonly origin: string;
  /** True for a model that knows parameters of its own. */
  readonly readsParameters: boolean;
  readonly statistics: ModelStatisticsCounter = new ModelStatisticsCounter();
  /** Different for each model that was ever loaded. */
  readonly #id: string = randomUUID();
  readonly #executor: Executor;
  readonly #answer: AnswerShape;
  readonly #cache: ModelCache | undefined;
  readonly #cacheTtlMs: number;
  readonly #metrics: ModelMetrics;
  readonly #observer: RequestObserver;
  readonly #labels: { readonly model: string; readonly version: string };

  constructor(parts: LoadedModelParts) {
    const { shape } = parts;
    this.shape = shape;
    this.config = parts.config;
    this.origin = parts.origin;
    this.readsParameters =
      parts.config.schedulingChoice.case === 'ensembleScheduling' ||
      readBatchCost(parts.config)?.parameter !== undefined;
    this.#cache = parts.cache;
    this.#cacheTtlMs = cacheTtlMs(parts.config, parts.cache?.ttlSeconds ?? 0);
    this.#answer = new AnswerShape(shape, parts.classNames);
    this.#observer = parts.observer;
    this.#labels = { model: shape.name, version: shape.version };
    this.#metrics = parts.metrics.of(this.#labels);
    this.#executor = parts.makeExecutor((rows, times) => {
      this.statistics.executed(rows, times);
      this.#metrics.executed(rows, this.#executor.waiting);
    });
    this.#metrics.loaded(performance.now() - parts.loadStartMs);
  }

  /** Answers one request. @throws REQUEST_INVALID QUEUE_FULL REQUEST_EXPIRED DEADLINE_PASSED REQUEST_CANCELLED ORT_… */
  infer(call: InferCall): Promise<OrtTensors> {
    const startMs = performance.now();
    const { sampler } = this.#observer;
    const sampled = sampler.isOn ? sampler.choose(this.shape.name, startMs) : undefined;
    return sampled === undefined
      ? this.#answerCall(call, startMs)
      : this.#answerSampled(sampled, call, startMs);
  }

  async #answerSampled(sampled: SampleRule, call: InferCall, startMs: number): Promise<OrtTensors> {
    const { sampler } = this.#observer;
    const ended = { shape: this.shape, requestId: call.requestId ?? '', startMs };
    let feeds: Feeds | undefined;
    try {
      const outputs = await this.#answerCall(call, startMs, (read) => {
        feeds = read;
      });
      sampler.add(sampled, { ...ended, feeds, outputs });
      return outputs;
    } catch (error) {
      sampler.add(sampled, { ...ended, feeds, error });
      throw error;
    }
  }

  async #answerCall(call: InferCall, startMs: number, onRead?: (feeds: Feeds) => void): Promise<OrtTensors> {
    try {
      const feeds = readFeeds(call.inputs, this.shape);
      onRead?.(feeds);
      this.#checkRequest(call, feeds.rows);
      if (this.#cache === undefined) return await this.#compute(feeds, call, startMs);
      return await this.#throughCache(this.#cache, { feeds, call, startMs });
    } catch (error) {
      this.#failed(startMs, error);
      throw error;
    }
  }

  /** True for a model that answers a request any number of times, through {@link LoadedModel.stream}. */
  get isDecoupled(): boolean {
    return isDecoupled(this.config);
  }

  /** Answers one request of a decoupled model, any number of times. @throws REQUEST_INVALID QUEUE_FULL BACKEND_… */
  async *stream(call: InferCall): AsyncGenerator<OrtTensors> {
    const startMs = performance.now();
    let error: unknown = new RequestCancelled({});
    try {
      const feeds = readFeeds(call.inputs, this.shape);
      this.#checkRequest(call, feeds.rows);
      const cancelError = (): Error => this.#cancelError(call.deadlineMs);
      const readMs = performance.now();
      for await (const outputs of this.#executor.stream?.({ ...feeds, call, cancelError }) ?? []) {
        yield this.#answer.pick(outputs, call.outputs);
      }
      error = undefined;
      const endMs = performance.now();
      this.#succeeded({
        rows: feeds.rows,
        queueMs: 0,
        inputMs: readMs - startMs,
        runMs: endMs - readMs,
        outputMs: 0,
        totalMs: endMs - startMs,
      });
    } catch (failure) {
      error = failure;
      throw failure;
    } finally {
      // A caller that leaves between two answers comes through here alone.
      if (error !== undefined) this.#failed(startMs, error);
    }
  }

  /** Memory of its processes; `undefined` where the system does not tell. */
  memory(): Promise<MemoryUse | undefined> {
    return processMemory(this.#executor.pids);
  }

  /** Ends the model once all its requests are answered. */
  async close(): Promise<void> {
    await this.#executor.close();
    this.#cache?.responses.forget(this);
  }

  async #compute(feeds: Feeds, call: InferCall, startMs: number): Promise<OrtTensors> {
    const readMs = performance.now() - startMs;
    const execution = await this.#executor.execute({
      ...feeds,
      call,
      cancelError: () => this.#cancelError(call.deadlineMs),
    });
    const outputs = this.#answer.pick(execution.outputs, call.outputs);
    const totalMs = performance.now() - startMs;
    const { queueMs } = execution;
    const { runMs } = execution.times;
    const inputMs = readMs + execution.times.inputMs;
    // What is left of the whole, as in the metrics.
    const outputMs = Math.max(0, totalMs - queueMs - inputMs - runMs);
    this.#succeeded({ rows: feeds.rows, queueMs, inputMs, runMs, outputMs, totalMs });
    if (call.span !== undefined) {
      const moments = { ...this.#labels, queuedMs: startMs + readMs, endMs: startMs + totalMs };
      traceRequest(call.span, execution, moments);
    }
    return outputs;
  }

  #succeeded(times: RequestTimes): void {
    this.statistics.succeeded(times, Date.now());
    this.#metrics.succeeded(times);
    this.#observer.answered(this.#labels, times);
  }

  #failed(startMs: number, error: unknown): void {
    const totalMs = performance.now() - startMs;
    this.statistics.failed(totalMs);
    this.#observer.failed(this.#labels, totalMs, error);
    this.#metrics.failed(failureReason(error));
  }

  async #throughCache(
    { responses, metrics }: ModelCache,
    { feeds, call, startMs }: { readonly feeds: Feeds; readonly call: InferCall; readonly startMs: number },
  ): Promise<OrtTensors> {
    const lookedMs = performance.now();
    const key = cacheKey(this.#id, feeds.tensors, call.outputs);
    const kept = responses.get(key);
    const foundMs = performance.now();
    if (kept === undefined) {
      const outputs = await this.#compute(feeds, call, startMs);
      const computedMs = performance.now();
      responses.put(key, outputs, { owner: this, ttlMs: this.#cacheTtlMs });
      const costMs = foundMs - lookedMs + performance.now() - computedMs;
      this.statistics.missed(costMs);
      metrics.missed(this.#labels, costMs);
      return outputs;
    }
    const totalMs = foundMs - startMs;
    this.statistics.succeededFromCache(foundMs - lookedMs, totalMs, Date.now());
    metrics.hit(this.#labels, foundMs - lookedMs);
    // Rows that were not inferred count as none.
    const times = { rows: 0, queueMs: 0, inputMs: 0, runMs: 0, outputMs: 0, totalMs };
    this.#metrics.succeeded(times);
    this.#observer.answered(this.#labels, times);
    return kept;
  }

  #checkRequest(call: InferCall, rows: number): void {
    const { name, batchable, maxBatchRows, outputs } = this.shape;
    if (batchable && (rows < 1 || rows > maxBatchRows)) {
      throw new RequestInvalid({
        problem: `inference request batch-size must be >= 1 and <= ${maxBatchRows} for '${name}', got ${rows}`,
      });
    }
    if (call.outputs.length === 0) return;
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

  #cancelError(deadlineMs: number | undefined): Error {
    const passed = deadlineMs !== undefined && Date.now() >= deadlineMs;
    return passed ? new DeadlinePassed({ model: this.shape.name }) : new RequestCancelled({});
  }
}
