import { clone, create } from '@bufbuild/protobuf';
import {
  type ModelConfig,
  ModelConfigSchema,
  ModelDynamicBatchingSchema,
  type ModelInput,
  ModelInstanceGroup_Kind,
  ModelInstanceGroupSchema,
  type ModelOutput,
} from 'lamella/proto/inference/model_config';
import { PLATFORM } from './complete-config.ts';
import { isDatatype } from './datatype.ts';
import { ModelLoadFailed } from './errors.ts';

/** Backend of every model that ONNX Runtime runs. */
const ONNX_RUNTIME = 'onnxruntime';
/** Extension names that a manifest may have. */
const NAME = /^[a-z0-9](?:[a-z0-9._-]{0,61}[a-z0-9])?$/;

/**
 * The backend that a configuration names, by `backend` or else by `platform`; `undefined` for ONNX Runtime.
 *
 * @throws MODEL_LOAD_FAILED for a name that no plugin can have
 */
export function backendOf(model: string, config: ModelConfig | undefined): string | undefined {
  const name = config?.backend || config?.platform || ONNX_RUNTIME;
  if (name === ONNX_RUNTIME || name === PLATFORM) return undefined;
  if (NAME.test(name)) return name;
  const problem =
    `platform or backend '${name.slice(0, 100)}' is not supported (no plugin can provide that name); export the model as ` +
    'ONNX, or name the backend of a plugin';
  throw new ModelLoadFailed({ model, problem });
}

/** True for a model that answers a request any number of times. */
export function isDecoupled({ modelTransactionPolicy }: ModelConfig): boolean {
  return modelTransactionPolicy?.decoupled === true;
}

/** What is known of a model that a backend runs. */
export interface BackendFacts {
  /** Model name. */
  readonly model: string;
  /** Name of the backend. */
  readonly backend: string;
  /** What the backend knows of the model. */
  readonly known: ModelConfig | undefined;
}

/** Fills a configuration with what its backend knows, and checks it. @throws MODEL_LOAD_FAILED naming the field */
export function completeBackendConfig(
  given: ModelConfig,
  { model, backend, known }: BackendFacts,
): ModelConfig {
  const config = clone(ModelConfigSchema, given);
  config.name = model;
  config.platform ||= backend;
  config.backend = backend;
  takeKnown(config, known);
  if (config.instanceGroup.length === 0) {
    const group = { name: `${model}_0`, count: 1, kind: ModelInstanceGroup_Kind.CPU };
    config.instanceGroup = [create(ModelInstanceGroupSchema, group)];
  }
  checkConfig(config);
  if (config.maxBatchSize > 1 && config.schedulingChoice.case === undefined && !isDecoupled(config)) {
    config.schedulingChoice = { case: 'dynamicBatching', value: create(ModelDynamicBatchingSchema) };
  }
  return config;
}

/** What is given goes before what the backend knows. */
function takeKnown(config: ModelConfig, known: ModelConfig | undefined): void {
  if (known === undefined) return;
  if (config.input.length === 0) config.input = known.input;
  if (config.output.length === 0) config.output = known.output;
  if (config.maxBatchSize === 0) config.maxBatchSize = known.maxBatchSize;
  if (config.instanceGroup.length === 0) config.instanceGroup = known.instanceGroup;
  config.modelTransactionPolicy ??= known.modelTransactionPolicy;
}

function checkConfig(config: ModelConfig): void {
  const { name: model, backend } = config;
  const fail = (problem: string): Error => new ModelLoadFailed({ model, problem });
  if (config.input.length === 0 || config.output.length === 0) {
    throw fail(`input and output must stand in its configuration, or backend '${backend}' must tell them`);
  }
  if (config.maxBatchSize < 0) throw fail('max_batch_size must be 0 or more');
  if (config.schedulingChoice.case === 'sequenceBatching') {
    throw fail(`sequence_batching is not supported for models of backend '${backend}'`);
  }
  for (const ports of [config.input, config.output]) checkPorts(ports, fail);
}

function checkPorts(ports: readonly (ModelInput | ModelOutput)[], fail: (problem: string) => Error): void {
  const names = ports.map(({ name }) => name);
  for (const [index, { name, dataType, dims, reshape }] of ports.entries()) {
    if (name === '' || names.indexOf(name) !== index)
      throw fail(`the name '${name}' of a tensor is empty or stands twice`);
    if (!isDatatype(dataType)) throw fail(`'${name}' needs a data_type that this server knows`);
    if (reshape !== undefined) throw fail(`reshape of '${name}' is supported for ONNX models only`);
    const isSize = (size: bigint): boolean => size > 0n || size === -1n;
    if (!dims.every(isSize)) throw fail(`dims of '${name}' must be sizes above 0, or -1 where they vary`);
  }
}
