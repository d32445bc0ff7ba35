import { create } from '@bufbuild/protobuf';
import type { OrtTensors } from 'lamella/sdk/ort';
import { type ModelConfig, ModelConfigSchema } from 'lamella/proto/inference/model_config';
import { completeBackendConfig, isDecoupled } from './backend-config.ts';
import { type BackendClients, BackendModel } from './backend-model.ts';
import { readBatchCost } from './batch-cost.ts';
import { BatchExecutor } from './batch-executor.ts';
import { DecoupledExecutor } from './decoupled-executor.ts';
import { ModelLoadFailed } from './errors.ts';
import type { Executor, OnRun } from './executor.ts';
import { LoadedModel } from './loaded-model.ts';
import { type ModelShape, modelShape } from './model-shape.ts';
import { limitedRuns, type OpenModelRequest, readClassNames } from './open-model.ts';
import { queuePolicies } from './queue-policy.ts';
import { readShapeBuckets } from './shape-buckets.ts';
import { warmUp } from './warmup.ts';

const ADVICE = 'load a plugin that is that backend, or export the model as ONNX';

/** What a version is opened from whose backend is a plugin. */
export interface OpenBackendModelRequest extends OpenModelRequest {
  /** Name of the backend. */
  readonly backend: string;
  /** Makes clients of backends. */
  readonly backends: BackendClients;
}

/** Opens a version at the plugin that is its backend. @throws MODEL_LOAD_FAILED */
export async function openBackendModel(request: OpenBackendModelRequest): Promise<LoadedModel> {
  const loadStartMs = performance.now();
  const { name, backend, files, options } = request;
  const given = request.given ?? create(ModelConfigSchema);
  const model = new BackendModel({
    backend,
    client: request.backends(backend),
    name,
    version: String(request.version),
    config: given,
    file: await request.file.read(),
  });
  try {
    const known = await openAt(model, request);
    const config = completeBackendConfig(given, { model: name, backend, known });
    const shape = modelShape(config, String(request.version));
    await warmUp(config, files, (tensors) =>
      runOnce(model, { config, shape, tensors }, options.runTimeoutMs),
    );
    const isCached = config.responseCache?.enable === true && !isDecoupled(config);
    const classNames = await readClassNames(config, files);
    const { metrics, observer, origin } = request;
    const makeExecutor = prepare(request, { model, config, shape });
    const cache = isCached ? request.cache : undefined;
    return new LoadedModel({
      shape,
      config,
      classNames,
      makeExecutor,
      cache,
      metrics,
      observer,
      origin,
      loadStartMs,
    });
  } catch (error) {
    await model.close();
    throw error;
  }
}

async function openAt(
  model: BackendModel,
  { name, backend, signal }: OpenBackendModelRequest,
): Promise<ModelConfig | undefined> {
  try {
    return await model.open({ signal });
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error);
    throw new ModelLoadFailed(
      { model: name, problem: `backend '${backend}': ${problem}; ${ADVICE}` },
      { cause: error },
    );
  }
}

interface Opened {
  readonly model: BackendModel;
  readonly config: ModelConfig;
  readonly shape: ModelShape;
}

function prepare(
  request: OpenBackendModelRequest,
  { model, config, shape }: Opened,
): (onRun: OnRun) => Executor {
  const { queueLimit, runTimeoutMs } = request.options;
  if (isDecoupled(config)) {
    const { backend } = request;
    const parts = { shape, model, backend, limit: queueLimit, silenceMs: runTimeoutMs };
    return (onRun) => new DecoupledExecutor(parts, onRun);
  }
  const policies = queuePolicies(config, request.options);
  const buckets = readShapeBuckets(config);
  const cost = readBatchCost(config);
  const instances = config.instanceGroup.reduce((sum, { count }) => sum + Math.max(1, count), 0);
  const session = { instances, pids: [], close: () => model.close() };
  const runs = limitedRuns(request, config, (tensors) =>
    model.run(tensors, shape, { timeoutMs: runTimeoutMs }),
  );
  return (onRun) => new BatchExecutor({ shape, session, policies, buckets, cost, ...runs }, onRun);
}

/** A run of a warm-up. */
async function runOnce(
  model: BackendModel,
  { config, shape, tensors }: Omit<Opened, 'model'> & { readonly tensors: OrtTensors },
  timeoutMs: number,
): Promise<void> {
  if (!isDecoupled(config)) return void (await model.run(tensors, shape, { timeoutMs }));
  const answers = model.stream(tensors, { shape }, { timeoutMs });
  while ((await answers.next()).done !== true);
}
