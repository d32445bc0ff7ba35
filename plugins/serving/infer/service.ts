import type { MessageInitShape } from '@bufbuild/protobuf';
import type { CallContext, ServiceImplementation } from 'lamella/sdk';
import type {
  GRPCInferenceService,
  ModelInferRequest,
  ModelInferResponseSchema,
  ModelRepositoryParameter,
} from 'lamella/proto/inference/grpc_inference_service';
import { describeMetadata, EXTENSIONS } from './describe-model.ts';
import { MethodUnsupported } from './errors.ts';
import { grpcInputs, grpcOutputs, grpcResponse, timeoutParameter } from './grpc-tensors.ts';
import { readLoadParameters, readUnloadParameters } from './load-request.ts';
import type { LoadedModel } from './loaded-model.ts';
import type { ModelRepository } from './repository.ts';
import { repositoryIndex } from './repository-index.ts';
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
const SETTINGS = 'logs and traces are set by the operator of the kernel';

/** The service of the protocol, over a repository. */
export function inferenceService(
  repository: ModelRepository,
  server: ServerFacts,
): ServiceImplementation<typeof GRPCInferenceService> {
  const infer = (request: ModelInferRequest, context: CallContext): Promise<InferResponse> =>
    inferGrpc(repository.get(request.modelName, request.modelVersion), request, context);
  return {
    serverLive: () => ({ live: true }),
    serverReady: () => ({ ready: repository.ready }),
    serverMetadata: () => ({ ...server, extensions: [...EXTENSIONS] }),
    modelReady: ({ name, version }) => ({ ready: repository.has(name, version) }),
    modelMetadata: ({ name, version }) =>
      describeMetadata(repository.get(name, version), repository.versions(name)),
    modelConfig: ({ name, version }) => ({ config: repository.get(name, version).config }),
    modelInfer: infer,
    modelStreamInfer: (requests, context) => streamInfer(requests, (request) => infer(request, context)),
    modelStatistics: ({ name, version }) => ({
      modelStats: repository
        .loaded(name, version)
        .map((model) => model.statistics.snapshot(model.shape.name, model.shape.version)),
    }),
    repositoryIndex: async ({ repositoryName, ready }, context) => ({
      models: await repositoryIndex(repository, { repositoryName, ready }, context),
    }),
    repositoryModelLoad: async ({ modelName, parameters }, context) => {
      await repository.load(modelName, readLoadParameters(plainParameters(parameters)), context);
      return {};
    },
    repositoryModelUnload: async ({ modelName, parameters }) => {
      readUnloadParameters(plainParameters(parameters));
      await repository.unload(modelName);
      return {};
    },
    systemSharedMemoryStatus: unsupported('SystemSharedMemoryStatus', SHARED_MEMORY),
    systemSharedMemoryRegister: unsupported('SystemSharedMemoryRegister', SHARED_MEMORY),
    systemSharedMemoryUnregister: unsupported('SystemSharedMemoryUnregister', SHARED_MEMORY),
    cudaSharedMemoryStatus: unsupported('CudaSharedMemoryStatus', SHARED_MEMORY),
    cudaSharedMemoryRegister: unsupported('CudaSharedMemoryRegister', SHARED_MEMORY),
    cudaSharedMemoryUnregister: unsupported('CudaSharedMemoryUnregister', SHARED_MEMORY),
    traceSetting: unsupported('TraceSetting', SETTINGS),
    logSettings: unsupported('LogSettings', SETTINGS),
  };
}

async function inferGrpc(
  model: LoadedModel,
  request: ModelInferRequest,
  context: CallContext,
): Promise<InferResponse> {
  const outputs = await model.infer({
    inputs: grpcInputs(request),
    outputs: grpcOutputs(request),
    signal: context.signal,
    deadlineMs: context.deadlineMs,
    timeoutMs: timeoutParameter(request.parameters),
  });
  return grpcResponse(model.shape, request.id, outputs);
}

function plainParameters(
  parameters: Readonly<Record<string, ModelRepositoryParameter>>,
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
