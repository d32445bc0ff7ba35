import { isDeclaredError } from 'lamella/sdk';
import { openSession, type OrtSession, type OrtTensors } from 'lamella/sdk/ort';
import type { ModelConfig } from 'lamella/proto/inference/model_config';
import type { ClassNames } from './answer-shape.ts';
import { completeConfig } from './complete-config.ts';
import type { InferConfig } from './config.ts';
import { EnsembleExecutor, type InferStep } from './ensemble-executor.ts';
import { completeEnsemble, planSteps } from './ensemble-plan.ts';
import { ModelLoadFailed } from './errors.ts';
import type { InferMetrics } from './infer-metrics.ts';
import { LoadedModel } from './loaded-model.ts';
import { type ModelRuns, prepareExecutor } from './make-executor.ts';
import type { ModelCache } from './model-cache.ts';
import type { ModelFile, ModelFiles } from './model-files.ts';
import { modelShape } from './model-shape.ts';
import { readRaggedBatch } from './ragged-batch.ts';
import type { RequestObserver } from './request-observer.ts';
import { RateLimited, type RateLimiter, rateLimitOf } from './rate-limiter.ts';
import { sessionSettings } from './supported-config.ts';
import { warmUp } from './warmup.ts';

/** What a version is opened from. */
export interface OpenModelRequest {
  /** Model name. */
  readonly name: string;
  /** Number of the version. */
  readonly version: number;
  /** Its file. */
  readonly file: ModelFile;
  /** Files it shares with other versions. */
  readonly files: ModelFiles;
  /** The configuration that was given, if any. */
  readonly given: ModelConfig | undefined;
  /** See `LoadedModel.origin`. */
  readonly origin: string;
  /** Options of the plugin. */
  readonly options: InferConfig;
  /** Where requests are counted. */
  readonly metrics: InferMetrics;
  /** What shares resources between models; `undefined` when nothing does. */
  readonly limiter: RateLimiter | undefined;
  /** Told of each request. */
  readonly observer: RequestObserver;
  /** Where answers of models that want it are kept. */
  readonly cache: ModelCache;
  /** Ends the wait for the sessions. */
  readonly signal: AbortSignal;
}

/** Opens a version: sessions, completed configuration, warm-up. @throws MODEL_LOAD_FAILED */
export async function openModel(request: OpenModelRequest): Promise<LoadedModel> {
  const { name, files, given, options } = request;
  const loadStartMs = performance.now();
  const session = await openChildren(request);
  try {
    const config = completeConfig(given, {
      model: name,
      inputs: session.inputs,
      outputs: session.outputs,
      maxBatchRows: options.maxBatchRows,
      instances: session.instances,
    });
    const { runTimeoutMs } = options;
    const shape = modelShape(config, String(request.version));
    const layout = readRaggedBatch(config, session);
    const makeExecutor = await prepareExecutor({ config, shape, session, files, layout, options });
    // At once, so that every child gets one.
    const runEverywhere = (tensors: OrtTensors): Promise<unknown> =>
      Promise.all(session.pids.map(() => session.run(tensors, { timeoutMs: runTimeoutMs })));
    await warmUp(config, files, (tensors) => runEverywhere(layout?.join([tensors]) ?? tensors));
    const classNames = await readClassNames(config, files);
    const runs = limitedRuns(request, config, (tensors) => session.run(tensors, { timeoutMs: runTimeoutMs }));
    const isCached =
      config.responseCache?.enable === true && config.schedulingChoice.case !== 'sequenceBatching';
    return new LoadedModel({
      shape,
      config,
      classNames,
      makeExecutor: (onRun) => makeExecutor(runs, onRun),
      cache: isCached ? request.cache : undefined,
      metrics: request.metrics,
      observer: request.observer,
      origin: request.origin,
      loadStartMs,
    });
  } catch (error) {
    await session.close();
    throw error;
  }
}

async function openChildren({ name, file, given, options, signal }: OpenModelRequest): Promise<OrtSession> {
  const { intraOpThreads, instances, memoryLimitMib, queueLimit } = options;
  const settings = { intraOpThreads, instances, ...sessionSettings(name, given) };
  try {
    const model = await file.read();
    return await openSession({ model, memoryLimitMib, queueLimit, ...settings }, { signal });
  } catch (error) {
    if (!isDeclaredError(error) || !error.reason.startsWith('ORT_')) throw error;
    throw new ModelLoadFailed({ model: name, problem: error.message }, { cause: error });
  }
}

/** Runs of a model that share resources with others, where its configuration says so. */
export function limitedRuns(
  { limiter }: Pick<OpenModelRequest, 'limiter'>,
  config: ModelConfig,
  run: (tensors: OrtTensors) => Promise<OrtTensors>,
): ModelRuns {
  const limit = rateLimitOf(config);
  if (limiter === undefined || limit === undefined) return { run, end: () => undefined };
  const model = new RateLimited(limit);
  limiter.enter(model);
  return {
    run: (tensors) => limiter.run(model, () => run(tensors)),
    end: () => limiter.leave(model),
  };
}

/** Class names of outputs, from the files that the configuration names. @throws MODEL_LOAD_FAILED */
export async function readClassNames({ output }: ModelConfig, files: ModelFiles): Promise<ClassNames> {
  const names = new Map<string, readonly string[]>();
  for (const { name, labelFilename } of output) {
    if (labelFilename === '') continue;
    const text = new TextDecoder().decode(await files.sharedFile(labelFilename));
    names.set(
      name,
      text.split('\n').map((line) => line.trim()),
    );
  }
  return names;
}

/** What an ensemble is opened from. */
export interface OpenEnsembleRequest extends Pick<
  OpenModelRequest,
  'name' | 'version' | 'files' | 'origin' | 'options' | 'metrics' | 'observer' | 'cache'
> {
  /** Its configuration. */
  readonly given: ModelConfig;
  /** Calls other models. */
  readonly inferStep: InferStep;
}

/** Opens a graph of models, which must be loaded when requests come. @throws MODEL_LOAD_FAILED */
export async function openEnsemble(request: OpenEnsembleRequest): Promise<LoadedModel> {
  const { name, files, options, inferStep, metrics, origin } = request;
  const loadStartMs = performance.now();
  const config = completeEnsemble(name, request.given);
  const { schedulingChoice } = config;
  const most =
    schedulingChoice.case === 'ensembleScheduling' ? schedulingChoice.value.maxInflightRequests : 0;
  const limit = most > 0 ? Math.min(most, options.queueLimit) : options.queueLimit;
  // Requests are told apart by their inputs, not by their parameters.
  const readsParameters = planSteps(config).some(({ condition }) => condition?.parameter !== undefined);
  const isCached = config.responseCache?.enable === true && !readsParameters;
  return new LoadedModel({
    shape: modelShape(config, String(request.version)),
    config,
    classNames: await readClassNames(config, files),
    makeExecutor: (onRun) => new EnsembleExecutor({ config, limit, inferStep }, onRun),
    cache: isCached ? request.cache : undefined,
    metrics,
    observer: request.observer,
    origin,
    loadStartMs,
  });
}
