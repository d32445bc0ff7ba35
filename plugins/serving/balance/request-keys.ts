import type { CallContext } from 'lamella/sdk';
import type { InferParameter, ModelInferRequest } from 'lamella/proto/inference/grpc_inference_service';
import type { Key } from './settings.ts';

/** Longest value that is hashed, in characters; more of it makes no better key. */
const MAX_LENGTH = 1_000;

/** Longest id of a sequence that is told from others, in characters. */
const MAX_ID_LENGTH = 256;

/** The value of a key in a request; `undefined` when it has none. */
export function keyValue(
  key: Key | undefined,
  request: ModelInferRequest,
  context: CallContext,
): string | undefined {
  if (key === undefined) return undefined;
  const value =
    key.kind === 'header' ? context.headers.get(key.name) : parameterValue(request.parameters[key.name]);
  if (value === undefined || value === '' || value instanceof Uint8Array) return undefined;
  return String(value).slice(0, MAX_LENGTH);
}

/** The value of a parameter of the protocol. */
export function parameterValue(
  parameter: InferParameter | undefined,
): string | number | bigint | boolean | undefined {
  return parameter?.parameterChoice.value;
}

/** Which sequence a request belongs to. */
export interface SequencePlace {
  readonly id: string;
  readonly isStart: boolean;
  readonly isEnd: boolean;
}

/** The sequence of a request; `undefined` without one. An id of another type is for the endpoint to refuse. */
export function sequenceOf({ parameters }: ModelInferRequest): SequencePlace | undefined {
  const id = parameterValue(parameters['sequence_id']);
  if (id === undefined || String(id) === '0' || id === '' || typeof id === 'boolean') return undefined;
  return {
    id: String(id).slice(0, MAX_ID_LENGTH),
    isStart: parameterValue(parameters['sequence_start']) === true,
    isEnd: parameterValue(parameters['sequence_end']) === true,
  };
}
