import type { MessageInitShape } from '@bufbuild/protobuf';
import type { CallContext, ServiceImplementation } from 'lamella/sdk';
import type {
  GRPCInferenceService,
  ModelInferRequest,
  ModelInferResponseSchema,
} from 'lamella/proto/inference/grpc_inference_service';
import { describeConfig, describeMetadata, EXTENSIONS } from './describe-model.ts';
import { MethodUnsupported, RequestInvalid } from './errors.ts';
import { grpcInputs, grpcOutputs, grpcResponse, timeoutParameter } from './grpc-tensors.ts';
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
    modelMetadata: ({ name, version }) => describeMetadata(repository.get(name, version)),
    modelConfig: ({ name, version }) => ({ config: describeConfig(repository.get(name, version)) }),
    modelInfer: infer,
    modelStreamInfer: (requests, context) => streamInfer(requests, (request) => infer(request, context)),
    modelStatistics: ({ name, version }) => ({
      modelStats: (name === '' ? repository.loaded() : [repository.get(name, version)]).map((model) =>
        model.statistics.snapshot(model.shape.name, model.shape.version),
      ),
    }),
    repositoryIndex: async ({ ready }, context) => ({
      models: await repositoryIndex(repository, ready, context),
    }),
    repositoryModelLoad: async ({ modelName, parameters }, context) => {
      await repository.load(modelName, versionParameter(parameters), context);
      return {};
    },
    repositoryModelUnload: async ({ modelName }) => {
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

/** The `version` parameter of a load: a number, an alias or `latest`; nothing else is taken from callers. */
function versionParameter(
  parameters: Readonly<Record<string, { readonly parameterChoice: { readonly value?: unknown } }>>,
): string | undefined {
  for (const name of Object.keys(parameters)) {
    if (name === 'version') continue;
    const problem =
      `load parameter '${name}' is not supported: models and their files come from the model registry only; ` +
      "the parameter 'version' names one by number, alias or 'latest'";
    throw new RequestInvalid({ problem });
  }
  const value = parameters['version']?.parameterChoice.value;
  if (value === undefined) return undefined;
  const version = typeof value === 'string' || typeof value === 'bigint' ? String(value) : '';
  if (!/^[a-z0-9_-]{1,63}$/.test(version)) {
    throw new RequestInvalid({ problem: "load parameter 'version' must be a number, an alias or 'latest'" });
  }
  return version;
}

function unsupported(method: string, advice: string): () => never {
  return () => {
    throw new MethodUnsupported({ method, advice });
  };
}
