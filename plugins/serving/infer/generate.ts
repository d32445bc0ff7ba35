import type { OrtTensors } from 'lamella/sdk/ort';
import { datatypeOf } from './datatype.ts';
import { RequestInvalid } from './errors.ts';
import type { InferCall } from './infer-call.ts';
import type { InferInput } from './infer-input.ts';
import type { ModelPort, ModelShape } from './model-shape.ts';
import { flatValues, type RestParameters, readParameters } from './rest-request.ts';
import { jsonData } from './rest-response.ts';

/** A generate request, read. */
export interface GenerateRequest extends RestParameters, Pick<InferCall, 'inputs'> {
  /** Id that comes back. */
  readonly id: string | undefined;
}

type JsonObject = Readonly<Record<string, unknown>>;

/**
 * Reads a generate request: fields, at the top or under `parameters`, that have the name of an input are that input,
 * and the others are parameters.
 *
 * @remarks Source: triton-inference-server/server: docs/protocol/extension_generate.md.
 * @throws REQUEST_INVALID
 */
export function readGenerateRequest(body: JsonObject, model: ModelShape): GenerateRequest {
  const { id, parameters = {}, ...fields } = body;
  if (typeof parameters !== 'object' || parameters === null || Array.isArray(parameters)) {
    throw new RequestInvalid({ problem: 'parameters must be a JSON object' });
  }
  const given: JsonObject = { ...parameters, ...fields };
  const inputs: InferInput[] = [];
  const others: Record<string, unknown> = { ...given };
  for (const [name, port] of model.inputs) {
    if (!Object.hasOwn(given, name)) continue;
    inputs.push(inputOf(port, given[name]));
    delete others[name];
  }
  return { id: typeof id === 'string' ? id : undefined, inputs, ...readParameters(others) };
}

/** One value, or a list of them, as the last dimension of a tensor; all others are 1. */
function inputOf(port: ModelPort, value: unknown): InferInput {
  const values = flatValues(Array.isArray(value) ? value : [value], port.name);
  const shape = port.dims.map((_size, axis) => (axis === port.dims.length - 1 ? values.length : 1));
  return { name: port.name, datatype: datatypeOf(port.type).name, shape, content: { values } };
}

/** The answer as a JSON object: each output under its name, a single value as itself. */
export function generateAnswer(model: ModelShape, id: string | undefined, outputs: OrtTensors): JsonObject {
  const answer: Record<string, unknown> = {
    model_name: model.name,
    model_version: model.version,
    ...(id !== undefined && { id }),
  };
  for (const name of model.outputs.keys()) {
    const tensor = outputs[name];
    if (tensor === undefined) continue;
    const values = jsonData(tensor);
    answer[name] = values.length === 1 ? values[0] : values;
  }
  return answer;
}
