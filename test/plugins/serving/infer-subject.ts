import assert from 'node:assert/strict';
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import {
  type CallContext,
  type FetchHandler,
  isDeclaredError,
  type ServiceImplementation,
} from 'lamella/sdk';
import {
  type GRPCInferenceService,
  ModelInferRequestSchema,
  RepositoryModelLoadRequestSchema,
} from 'lamella/proto/inference/grpc_inference_service';
import type { InferConfig } from '../../../plugins/serving/infer/config.ts';
import { ModelRepository } from '../../../plugins/serving/infer/repository.ts';
import { restHandler } from '../../../plugins/serving/infer/rest.ts';
import { inferenceService } from '../../../plugins/serving/infer/service.ts';
import { SharedMemory } from '../../../plugins/serving/infer/shared-memory.ts';
import { addModel, callContext, fakeHost, FakeRegistry, MemoryStorage } from './infer-fixture.ts';

/** A request for inference as a plain object. */
export type InferInit = MessageInitShape<typeof ModelInferRequestSchema>;

type LoadParameters = NonNullable<MessageInitShape<typeof RepositoryModelLoadRequestSchema>['parameters']>;

/** A request with raw contents: rows of two bytes. */
export function rawRequest(values: readonly number[], change: InferInit = {}): InferInit {
  return {
    modelName: 'add',
    inputs: [{ name: 'x', datatype: 'UINT8', shape: [BigInt(values.length / 2), 2n] }],
    rawInputContents: [Uint8Array.from(values)],
    ...change,
  };
}

/** Code and message of the declared error that work ends in. */
export async function rejection(work: () => unknown): Promise<{ code: number; message: string }> {
  try {
    await work();
  } catch (error) {
    assert.ok(isDeclaredError(error), String(error));
    return { code: error.code, message: error.message };
  }
  return assert.fail('expected an error');
}

/** The inference plugin without a kernel, over a registry that has version 1 of the model `add`. */
export class InferSubject {
  readonly registry: FakeRegistry = new FakeRegistry();
  readonly #storage: MemoryStorage = new MemoryStorage();
  readonly repository: ModelRepository;
  readonly service: ServiceImplementation<typeof GRPCInferenceService>;
  readonly #rest: FetchHandler;

  constructor(before?: InferSubject, config: Partial<InferConfig> = {}) {
    if (before === undefined) {
      this.registry.add('add', addModel(1));
    } else {
      this.registry = before.registry;
      this.#storage = before.#storage;
    }
    const server = { name: 'lamella', version: '0.1.0' };
    this.repository = new ModelRepository(fakeHost(this.registry, this.#storage, config));
    const memory = new SharedMemory(config.allowSharedMemory === true);
    this.service = inferenceService(this.repository, server, memory);
    this.#rest = restHandler(this.repository, server, memory);
  }

  /** Loads a version of `add`. */
  load(version?: string): unknown {
    const parameterChoice = { case: 'stringParam' as const, value: version ?? '' };
    const parameters = version === undefined ? {} : { version: { parameterChoice } };
    return this.service.repositoryModelLoad(
      create(RepositoryModelLoadRequestSchema, { modelName: 'add', parameters }),
      callContext(),
    );
  }

  /** Loads a model with parameters as gRPC carries them. */
  loadWith(modelName: string, parameters: Readonly<Record<string, string | Uint8Array>> = {}): unknown {
    const values = Object.entries(parameters).map(([name, value]) => [
      name,
      {
        parameterChoice:
          typeof value === 'string' ? { case: 'stringParam', value } : { case: 'bytesParam', value },
      },
    ]);
    const request = { modelName, parameters: Object.fromEntries(values) as LoadParameters };
    return this.service.repositoryModelLoad(create(RepositoryModelLoadRequestSchema, request), callContext());
  }

  /** Values of the first output. */
  async infer(request: InferInit, context: CallContext = callContext()): Promise<number[]> {
    const response = await this.service.modelInfer(create(ModelInferRequestSchema, request), context);
    const [sum = new Uint8Array()] = response.rawOutputContents ?? [];
    return [...new Float32Array(new Uint8Array(sum).buffer)];
  }

  /** Answer to an HTTP request. */
  http(path: string, init: RequestInit = {}): Promise<Response> {
    const context = { signal: new AbortController().signal, peer: 'test' };
    return Promise.resolve(this.#rest(new Request(`http://localhost${path}`, init), context));
  }
}
