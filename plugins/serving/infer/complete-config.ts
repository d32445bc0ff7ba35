import { clone, create } from '@bufbuild/protobuf';
import type { OrtPort } from 'lamella/sdk/ort';
import {
  type DataType,
  type ModelConfig,
  ModelConfigSchema,
  ModelDynamicBatchingSchema,
  type ModelInput,
  ModelInputSchema,
  ModelInstanceGroup_Kind,
  ModelInstanceGroupSchema,
  type ModelOutput,
  ModelOutputSchema,
} from 'lamella/proto/inference/model_config';
import { datatypeOf } from './datatype.ts';
import { ModelLoadFailed } from './errors.ts';

/** Platform of every model that ONNX Runtime runs, as Triton calls it. */
export const PLATFORM: string = 'onnxruntime_onnx';

/** What is known of a model beside its configuration. */
export interface GraphFacts {
  /** Model name. */
  readonly model: string;
  /** Inputs of the graph. */
  readonly inputs: readonly OrtPort[];
  /** Outputs of the graph. */
  readonly outputs: readonly OrtPort[];
  /** Largest batch of a model that can batch and says no other; 1 turns batching off. */
  readonly maxBatchRows: number;
  /** Copies of a model that says no other number. */
  readonly instances: number;
}

type Port = ModelInput | ModelOutput;

/**
 * Fills a configuration from the graph, as Triton completes one, and checks what it says against the graph.
 *
 * @throws MODEL_LOAD_FAILED naming the field that does not fit
 */
export function completeConfig(given: ModelConfig | undefined, facts: GraphFacts): ModelConfig {
  const config = given === undefined ? create(ModelConfigSchema) : clone(ModelConfigSchema, given);
  const { model } = facts;
  config.name = model;
  config.platform = PLATFORM;
  config.backend = 'onnxruntime';
  if (config.defaultModelFilename === '') config.defaultModelFilename = 'model.onnx';
  config.maxBatchSize = batchSize(config, facts);
  const isBatched = config.maxBatchSize > 0;
  const reserved = serverInputs(config);
  const inputs = facts.inputs.filter(({ name }) => !reserved.has(name));
  config.input = completePorts(
    { kind: 'input', given: config.input, graph: inputs, model, isBatched, ragged: raggedPorts(config) },
    (port) => create(ModelInputSchema, port),
  );
  // States are for the server, unless the configuration shows one to callers as well.
  const hidden = serverOutputs(config);
  const named = new Set(config.output.map(({ name }) => name));
  const outputs = facts.outputs.filter(({ name }) => !hidden.has(name) || named.has(name));
  // A configuration may leave out outputs that nobody needs.
  const shown = config.output.length === 0 ? outputs : outputs.filter(({ name }) => named.has(name));
  config.output = completePorts(
    { kind: 'output', given: config.output, graph: shown, model, isBatched, ragged: raggedPorts(config) },
    (port) => create(ModelOutputSchema, port),
  );
  if (config.instanceGroup.length === 0) {
    const group = { name: `${model}_0`, count: facts.instances, kind: ModelInstanceGroup_Kind.CPU };
    config.instanceGroup = [create(ModelInstanceGroupSchema, group)];
  }
  if (config.maxBatchSize > 1 && config.schedulingChoice.case === undefined) {
    config.schedulingChoice = { case: 'dynamicBatching', value: create(ModelDynamicBatchingSchema) };
  }
  return config;
}

/** Inputs that the server fills and callers do not send. */
function serverInputs({ schedulingChoice, batchInput }: ModelConfig): ReadonlySet<string> {
  const made = batchInput.flatMap(({ targetName }) => targetName);
  if (schedulingChoice.case !== 'sequenceBatching') return new Set(made);
  const { controlInput, state } = schedulingChoice.value;
  return new Set([
    ...made,
    ...controlInput.map(({ name }) => name),
    ...state.map(({ inputName }) => inputName),
  ]);
}

/** Outputs that the server keeps and callers do not get. */
function serverOutputs({ schedulingChoice }: ModelConfig): ReadonlySet<string> {
  if (schedulingChoice.case !== 'sequenceBatching') return new Set();
  return new Set(schedulingChoice.value.state.map(({ outputName }) => outputName));
}

function batchSize(config: ModelConfig, facts: GraphFacts): number {
  const ports = [...facts.inputs, ...facts.outputs];
  const canBatch = facts.inputs.length > 0 && ports.every(({ dims }) => dims[0] === -1);
  if (config.maxBatchSize < 0) throw failed(facts.model, 'max_batch_size must be 0 or more');
  if (config.maxBatchSize > 0) {
    if (canBatch) return config.maxBatchSize;
    const fixed = ports.find(({ dims }) => dims[0] !== -1)?.name ?? '';
    throw failed(
      facts.model,
      `max_batch_size is ${config.maxBatchSize}, but the first dimension of '${fixed}' does not vary; set it to 0`,
    );
  }
  // Triton's zero: as large as the graph allows, unless the dimensions that are given hold the first one too.
  const given: readonly Port[] = [...config.input, ...config.output];
  const isWhole = given.some(({ name, dims }) => {
    const graph = ports.find((port) => port.name === name);
    return graph !== undefined && dims.length > 0 && dims.length === graph.dims.length;
  });
  return canBatch && !isWhole && facts.maxBatchRows > 1 ? facts.maxBatchRows : 0;
}

interface PortsToComplete<Given extends Port> {
  readonly kind: 'input' | 'output';
  readonly given: readonly Given[];
  readonly graph: readonly OrtPort[];
  readonly model: string;
  readonly isBatched: boolean;
  /** Inputs and outputs in which the requests of a run stand end to end. */
  readonly ragged: ReadonlySet<string>;
}

/** Ports that are flat in the graph, whatever shape callers see. */
function raggedPorts({ input, batchOutput }: ModelConfig): ReadonlySet<string> {
  const inputs = input.filter(({ allowRaggedBatch }) => allowRaggedBatch).map(({ name }) => name);
  return new Set([...inputs, ...batchOutput.flatMap(({ targetName }) => targetName)]);
}

function completePorts<Given extends Port>(
  ports: PortsToComplete<Given>,
  make: (port: { name: string; dataType: DataType; dims: bigint[] }) => Given,
): Given[] {
  const { kind, given, graph, model, isBatched, ragged } = ports;
  const names = given.map(({ name }) => name);
  const wrong = names.find(
    (name, index) => !graph.some((port) => port.name === name) || names.indexOf(name) !== index,
  );
  if (wrong !== undefined) {
    const allowed = graph.map(({ name }) => name).join(', ');
    throw failed(
      model,
      `unexpected ${kind} '${wrong}' in the configuration; each of ${allowed} may stand there once`,
    );
  }
  const done = given.map((port) => {
    const found = graph.find(({ name }) => name === port.name);
    return found === undefined
      ? port
      : completePort(port, { graph: found, model, isBatched, isRagged: ragged.has(port.name) });
  });
  const missing = graph.filter(({ name }) => !names.includes(name));
  return [...done, ...missing.map((port) => make(asGiven(port, isBatched)))];
}

function asGiven(
  { name, type, dims }: OrtPort,
  isBatched: boolean,
): { name: string; dataType: DataType; dims: bigint[] } {
  // Triton leaves the batch out of the dimensions of a model that batches.
  return {
    name,
    dataType: datatypeOf(type).configType,
    dims: (isBatched ? dims.slice(1) : dims).map(BigInt),
  };
}

interface PortFacts {
  readonly graph: OrtPort;
  readonly model: string;
  readonly isBatched: boolean;
  readonly isRagged: boolean;
}

function completePort<Given extends Port>(port: Given, facts: PortFacts): Given {
  const { dataType } = asGiven(facts.graph, facts.isBatched);
  if (port.dataType === 0) port.dataType = dataType;
  if (port.dataType !== dataType) {
    const name = datatypeOf(facts.graph.type).name;
    throw failed(facts.model, `'${port.name}' is ${name} in the file, and not what data_type says`);
  }
  return facts.isRagged ? completeRagged(port, facts) : completeDims(port, facts);
}

function completeDims<Given extends Port>(port: Given, facts: PortFacts): Given {
  const { dims } = asGiven(facts.graph, facts.isBatched);
  if (port.dims.length === 0) port.dims = dims;
  const seen = port.reshape?.shape ?? port.dims;
  const fits =
    seen.length === dims.length && seen.every((size, axis) => dims[axis] === -1n || dims[axis] === size);
  if (fits && (port.reshape === undefined || elements(port.dims) === elements(seen))) return port;
  throw failed(
    facts.model,
    `'${port.name}' has the dimensions [${dims.join(',')}] in the file, and dims or reshape say [${seen.join(',')}]`,
  );
}

/** A port of any shape for callers, of which the graph sees all values of a run in one dimension. */
function completeRagged<Given extends Port>(port: Given, { graph, model }: PortFacts): Given {
  if (port.dims.length === 0) port.dims = [-1n];
  if (graph.dims.length === 1 && graph.dims[0] === -1 && port.reshape === undefined) return port;
  throw failed(
    model,
    `'${port.name}' is part of ragged batches and must have one dimension in the file that varies, and no reshape`,
  );
}

/** Product of the sizes that are known, with the number of those that are not. */
function elements(dims: readonly bigint[]): string {
  const known = dims.reduce((product, size) => (size < 0n ? product : product * size), 1n);
  return `${known}:${dims.filter((size) => size < 0n).length}`;
}

function failed(model: string, problem: string): Error {
  return new ModelLoadFailed({ model, problem });
}
