import { setMaxListeners } from 'node:events';
import type { CallContext, ServiceImplementation } from 'lamella/sdk';
import type { GRPCInferenceService, ModelInferRequest } from 'lamella/proto/inference/grpc_inference_service';
import { callCancellation, signalCancellation } from './cancellation.ts';
import { describeMetadata, extensionsOf } from './describe-model.ts';
import { type GrpcCall, inferGrpc, inferOnStream, plainParameters } from './grpc-infer.ts';
import { readLoadParameters, readUnloadParameters } from './load-request.ts';
import type { LoadedModel } from './loaded-model.ts';
import type { ModelRepository } from './repository.ts';
import { repositoryIndex } from './repository-index.ts';
import { logSettings, traceSetting } from './server-settings.ts';
import { refuseCudaRegion, requireNoRegion, type SharedMemory } from './shared-memory.ts';
import { statisticsOf } from './statistics.ts';
import { streamInfer } from './stream-infer.ts';

/** Facts of the server that answers. */
export interface ServerFacts {
  /** Name in ServerMetadata. */
  readonly name: string;
  /** Version in ServerMetadata. */
  readonly version: string;
}

/** The service of the protocol, over a repository. */
export function inferenceService(
  repository: ModelRepository,
  server: ServerFacts,
  memory: SharedMemory,
): ServiceImplementation<typeof GRPCInferenceService> {
  const modelFor = ({ modelName, modelVersion }: ModelInferRequest): LoadedModel | Promise<LoadedModel> =>
    repository.forRequest(modelName, modelVersion);
  return {
    serverLive: () => ({ live: true }),
    serverReady: () => ({ ready: repository.ready }),
    serverMetadata: () => ({ ...server, extensions: extensionsOf(memory) }),
    modelReady: ({ name, version }) => ({ ready: repository.has(name, version) }),
    modelMetadata: ({ name, version }) =>
      describeMetadata(repository.get(name, version), repository.versions(name)),
    modelConfig: ({ name, version }) => ({ config: repository.get(name, version).config }),
    modelInfer: (request, context) => {
      const call = unaryCall(context, memory);
      const model = modelFor(request);
      // Nearly always it is there, and each wait costs.
      if (model instanceof Promise) return model.then((loaded) => inferGrpc(loaded, request, call));
      return inferGrpc(model, request, call);
    },
    modelStreamInfer: (requests, { signal, deadlineMs, requestId, span }) => {
      // Each request that is under way listens.
      setMaxListeners(0, signal);
      const call = { cancellation: signalCancellation(signal), deadlineMs, requestId, span, memory };
      return streamInfer(requests, async (request) => inferOnStream(await modelFor(request), request, call));
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

function unaryCall(context: CallContext, memory: SharedMemory): GrpcCall {
  return {
    cancellation: callCancellation(context),
    deadlineMs: context.deadlineMs,
    span: context.span,
    // Made up when it is first read, which few requests need.
    get requestId() {
      return context.requestId;
    },
    memory,
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
    // There are no such regions, and clients unregister all before they begin.
    cudaSharedMemoryStatus: ({ name }) => (requireNoRegion(name), { regions: {} }),
    cudaSharedMemoryUnregister: ({ name }) => (requireNoRegion(name), {}),
    cudaSharedMemoryRegister: refuseCudaRegion,
  };
}
