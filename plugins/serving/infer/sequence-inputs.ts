import {
  elementsOf,
  numberView,
  type OrtElementType,
  type OrtPort,
  type OrtTensor,
  type OrtTensors,
} from 'lamella/sdk/ort';
import {
  type ModelConfig,
  type ModelSequenceBatching_Control,
  ModelSequenceBatching_Control_Kind as Kind,
  type ModelSequenceBatching_State,
} from 'lamella/proto/inference/model_config';
import { readBytesTensor } from './bytes-tensor.ts';
import { datatypeOf, datatypeOfConfig } from './datatype.ts';
import { ModelLoadFailed } from './errors.ts';
import type { ModelFiles } from './model-files.ts';
import type { SequencePlace } from './sequence-parameters.ts';

/** Inputs of a model with sequences that callers do not send. */
export interface SequenceInputs {
  /** Makes the tensors that carry the signals of one request. */
  readonly controls: (place: SequencePlace) => OrtTensors;
  /** States as a new sequence has them, by name of the input. */
  readonly initialStates: OrtTensors;
  /** Name of the input by that of the output that gives its next value. */
  readonly stateInputs: ReadonlyMap<string, string>;
}

interface Control {
  readonly name: string;
  readonly make: (place: SequencePlace) => OrtTensor;
}

/** Largest state of a sequence, in bytes. */
const MOST_STATE_BYTES = 64 * 1_024 * 1_024;

/** Reads what the server fills in for sequences. @throws MODEL_LOAD_FAILED where it does not fit the graph */
export async function readSequenceInputs(
  config: ModelConfig,
  graph: { readonly inputs: readonly OrtPort[]; readonly outputs: readonly OrtPort[] },
  files: ModelFiles,
): Promise<SequenceInputs> {
  const fail = (problem: string): Error => new ModelLoadFailed({ model: config.name, problem });
  const { schedulingChoice } = config;
  if (schedulingChoice.case !== 'sequenceBatching') throw new TypeError('It has no sequences.');
  const { controlInput, state } = schedulingChoice.value;
  const isBatched = config.maxBatchSize > 0;
  const portOf = (name: string): OrtPort => {
    const port = graph.inputs.find((one) => one.name === name);
    if (port === undefined)
      throw fail(`sequence_batching names an input '${name}' that the file does not have`);
    return port;
  };
  const controls = controlInput.map(({ name, control }): Control => {
    const [only] = control;
    if (only === undefined || control.length > 1) throw fail(`control input '${name}' needs one control`);
    return { name, make: controlOf(only, portOf(name), { isBatched, fail }) };
  });
  const initialStates: Record<string, OrtTensor> = {};
  for (const one of state) {
    if (!graph.outputs.some(({ name }) => name === one.outputName)) {
      throw fail(`sequence_batching names an output '${one.outputName}' that the file does not have`);
    }
    initialStates[one.inputName] = await initialState(one, portOf(one.inputName), { isBatched, fail, files });
  }
  return {
    controls: (place) => Object.fromEntries(controls.map(({ name, make }) => [name, make(place)])),
    initialStates,
    stateInputs: new Map(state.map(({ inputName, outputName }) => [outputName, inputName])),
  };
}

interface Surroundings {
  readonly isBatched: boolean;
  readonly fail: (problem: string) => Error;
}

function controlOf(
  control: ModelSequenceBatching_Control,
  port: OrtPort,
  { isBatched, fail }: Surroundings,
): Control['make'] {
  const dims = port.dims.map((size) => (size === -1 ? 1 : size));
  if (elementsOf(dims) !== 1)
    throw fail(`control input '${port.name}' must have one element for each request`);
  if (isBatched && port.dims[0] !== -1)
    throw fail(`control input '${port.name}' must have a batch dimension`);
  const tensor = (value: number | bigint | string): OrtTensor => ({
    type: port.type,
    dims,
    data: oneElement(port, value),
  });
  if (control.kind === Kind.CONTROL_SEQUENCE_CORRID) return corridOf(port, fail, tensor);
  const values = falseTrue(control, port, fail).map(tensor);
  const [no = tensor(0), yes = tensor(1)] = values;
  switch (control.kind) {
    case Kind.CONTROL_SEQUENCE_START:
      return ({ start }) => (start ? yes : no);
    case Kind.CONTROL_SEQUENCE_END:
      return ({ end }) => (end ? yes : no);
    default:
      // Only requests that are there are in a batch.
      return () => yes;
  }
}

function corridOf(
  port: OrtPort,
  fail: (problem: string) => Error,
  tensor: (value: bigint | string) => OrtTensor,
): Control['make'] {
  if (port.type === 'string') return ({ id }) => tensor(String(id));
  if (!['uint64', 'int64', 'uint32', 'int32'].includes(port.type)) {
    throw fail(`control input '${port.name}' must hold whole numbers or text to carry the id of a sequence`);
  }
  // A text has no number; the model then cannot tell sequences apart, but their states are kept apart all the same.
  return ({ id }) => tensor(typeof id === 'bigint' ? id : 0n);
}

function falseTrue(
  { int32FalseTrue, fp32FalseTrue, boolFalseTrue }: ModelSequenceBatching_Control,
  port: OrtPort,
  fail: (problem: string) => Error,
): readonly number[] {
  const values = { int32: int32FalseTrue, float32: fp32FalseTrue, bool: boolFalseTrue.map(Number) };
  const own =
    port.type === 'int32' || port.type === 'float32' || port.type === 'bool' ? values[port.type] : [];
  if (own.length === 2) return own;
  throw fail(
    `control input '${port.name}' is ${datatypeOf(port.type).name} and needs false_true values of that type`,
  );
}

function oneElement({ type }: OrtPort, value: number | bigint | string): OrtTensor['data'] {
  if (type === 'string') return [String(value)];
  if (type === 'int64') return BigInt64Array.of(BigInt.asIntN(64, BigInt(value)));
  if (type === 'uint64') return BigUint64Array.of(BigInt.asUintN(64, BigInt(value)));
  const bytes = numberView(type, new Uint8Array(datatypeOf(type).sizeBytes)) as Float32Array;
  bytes[0] = Number(typeof value === 'bigint' ? BigInt.asIntN(32, value) : value);
  return bytes;
}

async function initialState(
  state: ModelSequenceBatching_State,
  port: OrtPort,
  { isBatched, fail, files }: Surroundings & { readonly files: ModelFiles },
): Promise<OrtTensor> {
  const { element, sizeBytes } = datatypeOf(port.type);
  if (state.dataType !== 0 && datatypeOfConfig(state.dataType).element !== element) {
    throw fail(
      `state '${port.name}' is ${datatypeOf(port.type).name} in the file, and not what data_type says`,
    );
  }
  const dims = stateDims(state, isBatched);
  const count = elementsOf(dims);
  if (count * Math.max(1, sizeBytes) > MOST_STATE_BYTES) throw fail(`state '${port.name}' is too large`);
  const { stateData } = state.initialState[0] ?? {};
  const bytes =
    stateData?.case === 'dataFile' ? await files.sharedFile(`initial_state/${stateData.value}`) : undefined;
  const data = sizeBytes === 0 ? texts(bytes, port.name, count) : numbers(bytes, element, count * sizeBytes);
  if (data.length !== count) throw fail(`the file of state '${port.name}' has another size`);
  return { type: element, dims, data };
}

function stateDims(
  { initialState: [initial], dims }: ModelSequenceBatching_State,
  isBatched: boolean,
): number[] {
  const given = initial === undefined || initial.dims.length === 0 ? dims : initial.dims;
  const sizes = given.map((size) => Math.max(0, Number(size)));
  return isBatched ? [1, ...sizes] : sizes;
}

function texts(bytes: Uint8Array | undefined, name: string, count: number): string[] {
  return bytes === undefined ? Array.from({ length: count }, () => '') : readBytesTensor(bytes, name);
}

function numbers(
  bytes: Uint8Array | undefined,
  element: OrtElementType,
  sizeBytes: number,
): OrtTensor['data'] {
  if (bytes === undefined) return numberView(element, new Uint8Array(sizeBytes));
  // What is no whole number of elements is reported as another size.
  return numberView(element, bytes.byteLength === sizeBytes ? bytes : new Uint8Array(0));
}
