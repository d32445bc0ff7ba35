import { create, type MessageInitShape } from '@bufbuild/protobuf';
import {
  type InferParameter,
  InferParameterSchema,
  type ModelInferRequest,
  type ModelInferResponseSchema,
} from 'lamella/proto/inference/grpc_inference_service';
import { RequestInvalid } from './errors.ts';
import {
  grpcInputs,
  type GrpcOutput,
  grpcOutputs,
  grpcResponse,
  priorityParameter,
  timeoutParameter,
} from './grpc-tensors.ts';
import type { InferCall, RequestParameters } from './infer-call.ts';
import type { LoadedModel } from './loaded-model.ts';
import { readSequence } from './sequence-parameters.ts';
import type { SharedMemory } from './shared-memory.ts';

type InferResponse = MessageInitShape<typeof ModelInferResponseSchema>;

/** What a request inherits from the call or stream that it came with. */
export interface GrpcCall extends Pick<InferCall, 'cancellation' | 'deadlineMs' | 'requestId' | 'span'> {
  /** Where tensors may be. */
  readonly memory: SharedMemory;
}

const END_FLAG = 'triton_enable_empty_final_response';

/** Answers a request that gets one answer. */
export async function inferGrpc(
  model: LoadedModel,
  request: ModelInferRequest,
  call: GrpcCall,
): Promise<InferResponse> {
  const wanted = grpcOutputs(request, call.memory);
  const read = readCall(request, wanted, call);
  const outputs = await model.infer(
    model.readsParameters ? { ...read, parameters: parametersOf(request) } : read,
  );
  return grpcResponse(model.shape, { id: request.id, outputs, wanted, memory: call.memory });
}

/**
 * Answers a request of a stream, which may be for a decoupled model.
 *
 * @remarks Whether an answer is the last one stands in `triton_final_response`: on each answer of a decoupled model, and on
 * all others where `triton_enable_empty_final_response` asks for it. That also adds an empty answer at the end of what a
 * decoupled model gives, which nobody sees without it.
 */
export async function inferOnStream(
  model: LoadedModel,
  request: ModelInferRequest,
  call: GrpcCall,
): Promise<InferResponse | AsyncIterable<InferResponse>> {
  const wantsEnd = readEndFlag(request);
  if (model.isDecoupled) return answersOf(model, request, { ...call, wantsEnd });
  const answer = await inferGrpc(model, request, call);
  return wantsEnd ? { ...answer, parameters: isLast(true) } : answer;
}

async function* answersOf(
  model: LoadedModel,
  request: ModelInferRequest,
  { wantsEnd, ...call }: GrpcCall & { readonly wantsEnd: boolean },
): AsyncGenerator<InferResponse> {
  const { id } = request;
  const { memory } = call;
  const wanted = grpcOutputs(request, memory);
  const parameters = parametersOf(request);
  for await (const outputs of model.stream({ ...readCall(request, wanted, call), parameters })) {
    yield { ...grpcResponse(model.shape, { id, outputs, wanted, memory }), parameters: isLast(false) };
  }
  if (!wantsEnd) return;
  yield { modelName: model.shape.name, modelVersion: model.shape.version, id, parameters: isLast(true) };
}

function readCall(request: ModelInferRequest, outputs: readonly GrpcOutput[], call: GrpcCall): InferCall {
  return {
    inputs: grpcInputs(request, call.memory),
    outputs,
    cancellation: call.cancellation,
    deadlineMs: call.deadlineMs,
    span: call.span,
    get requestId() {
      return request.id === '' ? call.requestId : request.id;
    },
    timeoutMs: timeoutParameter(request.parameters),
    priority: priorityParameter(request.parameters),
    sequence: readSequence((name) => request.parameters[name]?.parameterChoice.value),
  };
}

function parametersOf({ parameters }: ModelInferRequest): RequestParameters {
  return plainParameters(parameters) as RequestParameters;
}

function readEndFlag({ parameters }: ModelInferRequest): boolean {
  const value = parameters[END_FLAG]?.parameterChoice.value ?? false;
  if (typeof value === 'boolean') return value;
  throw new RequestInvalid({ problem: `parameter '${END_FLAG}' must be true or false` });
}

function isLast(value: boolean): Record<string, InferParameter> {
  const flag = create(InferParameterSchema, { parameterChoice: { case: 'boolParam', value } });
  return { triton_final_response: flag };
}

/** Values of parameters by name. */
export function plainParameters(
  parameters: Readonly<Record<string, { readonly parameterChoice: { readonly value?: unknown } }>>,
): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(parameters).map(([name, { parameterChoice }]) => [name, parameterChoice.value]),
  );
}
