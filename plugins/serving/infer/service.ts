import type { MessageInitShape } from '@bufbuild/protobuf';
import type { ServiceImplementation } from 'lamella/sdk';
import type {
  GRPCInferenceService,
  ModelInferRequest,
  ModelInferResponseSchema,
} from 'lamella/proto/inference/grpc_inference_service';
import { callCancellation, signalCancellation } from './cancellation.ts';
import { describeMetadata, EXTENSIONS } from './describe-model.ts';
import { MethodUnsupported } from './errors.ts';
import {
  grpcInputs,
  grpcOutputs,
  grpcResponse,
  priorityParameter,
  timeoutParameter,
} from './grpc-tensors.ts';
import type { InferCall } from './infer-call.ts';
import { readLoadParameters, readUnloadParameters } from './load-request.ts';
import type { ModelRepository } from './repository.ts';
import { repositoryIndex } from './repository-index.ts';
import { logSettings, traceSetting } from './server-settings.ts';
import { readSequence } from './sequence-parameters.ts';
import type { SharedMemory } from './shared-memory.ts';
import { statisticsOf } from './statistics.ts';
import { streamInfer } from './stream-infer.ts';

type InferResponse = MessageInitShape<typeof ModelInferResponseSchema>;

/** Facts of the server that answers. */
export interface ServerFacts {
  /** Name in ServerMetadata. */
  readonly name: string;
  /** Version in ServerMetadata. */
  readonly version: string;
}

const SHARED_MEMORY = 'send tensors in the request';

/** The service of the protocol, over a repository. */
export function inferenceService(
  repository: ModelRepository,
  server: ServerFacts,
  memory: SharedMemory,
): ServiceImplementation<typeof GRPCInferenceService> {
  const infer = inferrer(repository, memory);
  return {
    serverLive: () => ({ live: true }),
    serverReady: () => ({ ready: repository.ready }),
    serverMetadata: () => ({
      ...server,
      extensions: memory.isAllowed ? [...EXTENSIONS, 'system_shared_memory'] : [...EXTENSIONS],
    }),
    modelReady: ({ name, version }) => ({ ready: repository.has(name, version) }),
    modelMetadata: ({ name, version }) =>
      describeMetadata(repository.get(name, version), repository.versions(name)),
    modelConfig: ({ name, version }) => ({ config: repository.get(name, version).config }),
    modelInfer: (request, context) =>
      infer(request, { cancellation: callCancellation(context), deadlineMs: context.deadlineMs }),
    modelStreamInfer: (requests, { signal, deadlineMs }) => {
      const call = { cancellation: signalCancellation(signal), deadlineMs };
      return streamInfer(requests, (request) => infer(request, call));
    },
    modelStatistics: async ({ name, version }) => ({
      modelStats: await statisticsOf(repository.loaded(name, version)),
    }),
    repositoryIndex: async ({ repositoryName, ready }, context) => ({
      models: await repositoryIndex(repository, { repositoryName, ready }, context),
    }),
    repositoryModelLoad: async ({ modelName, parameters }, context) => {
      await repository.load(modelName, readLoadParameters(plainParameters(parameters)), context);
      return {};
    },
    repositoryModelUnload: async ({ modelName, parameters }) => {
      await repository.unload(modelName, readUnloadParameters(plainParameters(parameters)));
      return {};
    },
    ...sharedMemoryMethods(memory),
    traceSetting: (request) => traceSetting(repository, request),
    logSettings: (request) => logSettings(repository, request),
  };
}

type SharedMemoryMethods = Pick<
  ServiceImplementation<typeof GRPCInferenceService>,
  | 'systemSharedMemoryStatus'
  | 'systemSharedMemoryRegister'
  | 'systemSharedMemoryUnregister'
  | 'cudaSharedMemoryStatus'
  | 'cudaSharedMemoryRegister'
  | 'cudaSharedMemoryUnregister'
>;

function sharedMemoryMethods(memory: SharedMemory): SharedMemoryMethods {
  return {
    systemSharedMemoryStatus: ({ name }) => ({
      regions: Object.fromEntries(memory.status(name).map((region) => [region.name, region])),
    }),
    systemSharedMemoryRegister: (region) => (memory.register(region), {}),
    systemSharedMemoryUnregister: ({ name }) => (memory.unregister(name), {}),
    cudaSharedMemoryStatus: unsupported('CudaSharedMemoryStatus', SHARED_MEMORY),
    cudaSharedMemoryRegister: unsupported('CudaSharedMemoryRegister', SHARED_MEMORY),
    cudaSharedMemoryUnregister: unsupported('CudaSharedMemoryUnregister', SHARED_MEMORY),
  };
}

/** Answers one request. */
function inferrer(
  repository: ModelRepository,
  memory: SharedMemory,
): (request: ModelInferRequest, call: GrpcCall) => Promise<InferResponse> {
  return async (request, call) => {
    const found = repository.forRequest(request.modelName, request.modelVersion);
    // Nearly always it is there, and each wait costs.
    const model = found instanceof Promise ? await found : found;
    const wanted = grpcOutputs(request, memory);
    const outputs = await model.infer({
      inputs: grpcInputs(request, memory),
      outputs: wanted,
      cancellation: call.cancellation,
      deadlineMs: call.deadlineMs,
      timeoutMs: timeoutParameter(request.parameters),
      priority: priorityParameter(request.parameters),
      sequence: readSequence((name) => request.parameters[name]?.parameterChoice.value),
    });
    return grpcResponse(model.shape, { id: request.id, outputs, wanted, memory });
  };
}

/** What a request inherits from the call or stream that it came with. */
type GrpcCall = Pick<InferCall, 'cancellation' | 'deadlineMs'>;

function plainParameters(
  parameters: Readonly<Record<string, { readonly parameterChoice: { readonly value?: unknown } }>>,
): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(parameters).map(([name, { parameterChoice }]) => [name, parameterChoice.value]),
  );
}

function unsupported(method: string, advice: string): () => never {
  return () => {
    throw new MethodUnsupported({ method, advice });
  };
}
