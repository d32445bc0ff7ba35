import { TextDecoder } from 'node:util';
import { readClasses, type WantedOutput } from './classification.ts';
import { datatypeOf } from './datatype.ts';
import { RequestInvalid } from './errors.ts';
import type { RequestParameters } from './infer-call.ts';
import type { InferInput } from './infer-input.ts';
import type { ModelShape } from './model-shape.ts';
import { readSequence, type SequencePlace } from './sequence-parameters.ts';
import { readJsonPlace, type SharedMemory, type SharedPlace } from './shared-memory.ts';
import type { TypedValue } from './typed-values.ts';

/** An output that a REST request names. */
export interface RestOutput extends WantedOutput {
  /** True to get it as bytes after the JSON. */
  readonly binary: boolean;
  /** Where in shared memory it goes; `undefined` for the answer. */
  readonly place: SharedPlace | undefined;
}

/** What the parameters of a request say. */
export interface RestParameters {
  /** Longest time in the queue in milliseconds. */
  readonly timeoutMs: number | undefined;
  /** Priority from 1; 0 or `undefined` for the default. */
  readonly priority: number | undefined;
  /** The sequence that it belongs to, if any. */
  readonly sequence: SequencePlace | undefined;
  /** All of them, for backends that know more. */
  readonly parameters: RequestParameters;
}

/** A REST request, read. */
export interface RestInferRequest extends RestParameters {
  /** Id that comes back. */
  readonly id: string | undefined;
  /** Inputs. */
  readonly inputs: readonly InferInput[];
  /** Outputs that are named; empty means all. */
  readonly outputs: readonly RestOutput[];
  /** True to get outputs that are not named one by one as bytes. */
  readonly binaryByDefault: boolean;
}

type JsonObject = Readonly<Record<string, unknown>>;

const HEADER = 'inference-header-content-length';
const DEEPEST = 32;

/**
 * Reads a request in JSON, with the binary tensor extension: the header gives the length of the JSON, and tensors follow
 * it in the order of the inputs.
 *
 * @remarks Source: triton-inference-server/server: docs/protocol/extension_binary_data.md.
 * @throws REQUEST_INVALID
 */
export function readInferRequest(
  body: Uint8Array,
  headers: Headers,
  { shape: model, memory }: { readonly shape: ModelShape; readonly memory: SharedMemory },
): RestInferRequest {
  const headerBytes = headerLength(headers, body.byteLength);
  if (headerBytes === 0) return rawRequest(body, model);
  const request = parseObject(body.subarray(0, headerBytes));
  const tensors = new TensorBytes(body.subarray(headerBytes));
  const parameters = objectOf(request['parameters'], 'parameters');
  const inputs = listOf(request['inputs'], 'inputs').map((input) => readInput(input, tensors, memory));
  tensors.assertUsed();
  const binaryByDefault = parameters['binary_data_output'] === true;
  return {
    id: typeof request['id'] === 'string' ? request['id'] : undefined,
    inputs,
    outputs: listOf(request['outputs'] ?? [], 'outputs').map((output) =>
      readOutput(output, { binaryByDefault, memory }),
    ),
    binaryByDefault,
    ...readParameters(parameters),
  };
}

function headerLength(headers: Headers, bodyBytes: number): number {
  const text = headers.get(HEADER);
  if (text === null) return bodyBytes;
  const length = /^[0-9]{1,12}$/.test(text) ? Number(text) : Infinity;
  if (length > bodyBytes) {
    throw invalid(
      `Inference-Header-Content-Length must be a number from 0 to ${bodyBytes}, the size of the body`,
    );
  }
  return length;
}

/**
 * A body that is one tensor: the model's only input. Its batch is 1, and one more variable dimension follows from the
 * size; all outputs come back as bytes.
 */
function rawRequest(body: Uint8Array, model: ModelShape): RestInferRequest {
  const [port] = model.inputs.values();
  if (port === undefined || model.inputs.size !== 1) {
    throw invalid(
      `a raw request must be for a model with one input, and '${model.name}' has ${model.inputs.size}`,
    );
  }
  const { name: datatype, sizeBytes } = datatypeOf(port.type);
  const dims = port.dims.map((size, axis) => (axis === 0 && model.batchable ? 1 : size));
  const variable = dims.filter((size) => size === -1).length;
  if (variable > 1)
    throw invalid(
      `a raw request for '${model.name}' leaves more than one dimension open; send a JSON header`,
    );
  const known = dims.reduce((product, size) => (size === -1 ? product : product * size), 1);
  const open = sizeBytes === 0 || known === 0 ? 1 : body.byteLength / (known * sizeBytes);
  const shape = dims.map((size) => (size === -1 ? open : size));
  const inputs: InferInput[] = [
    { name: port.name, datatype, shape, content: { raw: rawBytes(body, sizeBytes) } },
  ];
  const parameters = { timeoutMs: undefined, priority: undefined, sequence: undefined, parameters: {} };
  return { id: undefined, inputs, outputs: [], binaryByDefault: true, ...parameters };
}

/** A raw BYTES tensor is one element without its length. */
function rawBytes(body: Uint8Array, sizeBytes: number): Uint8Array {
  if (sizeBytes > 0) return body;
  const length = Buffer.alloc(4);
  length.writeUInt32LE(body.byteLength);
  return Buffer.concat([length, body]);
}

const UTF8: TextDecoder = new TextDecoder('utf-8', { fatal: true });

function parseObject(bytes: Uint8Array): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(UTF8.decode(bytes));
  } catch (error) {
    const why = error instanceof Error ? error.message : 'it is malformed';
    throw invalid(`failed to parse the request JSON: ${why}`);
  }
  return objectOf(value, 'the request');
}

function readInput(value: unknown, tensors: TensorBytes, memory: SharedMemory): InferInput {
  const input = objectOf(value, 'an input');
  const name = textOf(input['name'], "an input's name");
  const datatype = textOf(input['datatype'], `the datatype of input '${name}'`);
  const shape = listOf(input['shape'], `the shape of input '${name}'`);
  if (!shape.every((size): size is number => typeof size === 'number')) {
    throw invalid(`the shape of input '${name}' must be a list of numbers`);
  }
  const parameters = objectOf(input['parameters'] ?? {}, `the parameters of input '${name}'`);
  const place = readJsonPlace(parameters, name);
  if (place !== undefined) return { name, datatype, shape, content: { raw: memory.read(place) } };
  const size = parameters['binary_data_size'];
  if (size !== undefined) return { name, datatype, shape, content: { raw: tensors.take(size, name) } };
  if (datatype === 'FP16' || datatype === 'BF16') {
    throw invalid(
      `receiving ${datatype} data via JSON is not supported. Please use the binary data format for '${name}'`,
    );
  }
  return { name, datatype, shape, content: { values: flatValues(input['data'], name) } };
}

/** True for what nearly every request has, which need not be copied. */
function isFlatNumbers(data: unknown): data is readonly number[] {
  if (!Array.isArray(data)) return false;
  for (let index = 0; index < data.length; index += 1) if (typeof data[index] !== 'number') return false;
  return true;
}

/** Values of a list that may be nested as its shape is. @throws REQUEST_INVALID */
export function flatValues(data: unknown, name: string): readonly TypedValue[] {
  if (isFlatNumbers(data)) return data;
  const flat: TypedValue[] = [];
  const visit = (value: unknown, depth: number): void => {
    if (Array.isArray(value)) {
      if (depth > DEEPEST) throw invalid(`the data of input '${name}' is nested too deep`);
      for (const element of value) visit(element, depth + 1);
    } else if (typeof value === 'number' || typeof value === 'string' || typeof value === 'boolean') {
      flat.push(value);
    } else {
      throw invalid(`the data of input '${name}' must be numbers, strings or booleans`);
    }
  };
  if (!Array.isArray(data)) throw invalid(`unable to find data for input tensor '${name}' in request`);
  visit(data, 0);
  return flat;
}

function readOutput(
  value: unknown,
  { binaryByDefault, memory }: { readonly binaryByDefault: boolean; readonly memory: SharedMemory },
): RestOutput {
  const output = objectOf(value, 'an output');
  const name = textOf(output['name'], "an output's name");
  const parameters = objectOf(output['parameters'] ?? {}, `the parameters of output '${name}'`);
  const binary = parameters['binary_data'];
  const place = readJsonPlace(parameters, name);
  // Before the model runs in vain.
  if (place !== undefined) memory.check(place);
  return {
    name,
    place,
    binary: binary === undefined ? binaryByDefault : binary === true,
    classes: readClasses(parameters['classification'], name),
  };
}

/** Reads the parameters that all requests may have. @throws REQUEST_INVALID */
export function readParameters(parameters: JsonObject): RestParameters {
  return {
    timeoutMs: readTimeout(parameters['timeout']),
    priority: readPriority(parameters['priority']),
    sequence: readSequence((name) => parameters[name]),
    parameters: plainParameters(parameters),
  };
}

/** Parameters that a backend can get: numbers, texts and truths. */
function plainParameters(parameters: JsonObject): RequestParameters {
  const plain: Record<string, boolean | number | string> = {};
  for (const [name, value] of Object.entries(parameters)) {
    if (typeof value === 'boolean' || typeof value === 'number' || typeof value === 'string')
      plain[name] = value;
  }
  return plain;
}

function readTimeout(value: unknown): number | undefined {
  if (value === undefined || value === 0) return undefined;
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) {
    throw invalid("parameter 'timeout' must be a whole number of microseconds, 0 for none");
  }
  return Math.min(value / 1_000, 2 ** 31 - 1);
}

function readPriority(value: unknown): number | undefined {
  if (value === undefined || (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0))
    return value;
  throw invalid("parameter 'priority' must be a whole number, 0 for the default");
}

/** The bytes after the JSON, given out in order. */
class TensorBytes {
  readonly #bytes: Uint8Array;
  #used = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  take(size: unknown, name: string): Uint8Array {
    const left = this.#bytes.byteLength - this.#used;
    if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0 || size > left) {
      throw invalid(
        `binary_data_size of input '${name}' must be a number of bytes that follow the JSON, ${left} are left`,
      );
    }
    this.#used += size;
    return this.#bytes.subarray(this.#used - size, this.#used);
  }

  assertUsed(): void {
    const left = this.#bytes.byteLength - this.#used;
    if (left > 0)
      throw invalid(`${left} bytes after the JSON belong to no input; give each input its binary_data_size`);
  }
}

function objectOf(value: unknown, what: string): JsonObject {
  if (value === undefined) return {};
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw invalid(`${what} must be a JSON object`);
  return value as JsonObject;
}

function listOf(value: unknown, what: string): readonly unknown[] {
  if (!Array.isArray(value)) throw invalid(`${what} must be a list`);
  return value;
}

function textOf(value: unknown, what: string): string {
  if (typeof value !== 'string' || value === '') throw invalid(`${what} must be a string`);
  return value;
}

function invalid(problem: string): Error {
  return new RequestInvalid({ problem });
}
