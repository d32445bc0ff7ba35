import { createHash } from 'node:crypto';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { create } from '@bufbuild/protobuf';
import {
  type CallContext,
  type Client,
  Code,
  DeclaredError,
  type Host,
  type Metrics,
  type Storage,
  type StorageEntry,
} from 'lamella/sdk';
import {
  ElementType,
  encodeModel,
  finishModel,
  GraphBuilder,
  intAttribute,
  type Shape,
} from 'lamella/sdk/onnx';
import { ModelSchema, type ModelVersion, ModelVersionSchema } from 'lamella/proto/lamella/model/v1/model';
import {
  GetVersionResponseSchema,
  ListModelsResponseSchema,
  ListVersionsResponseSchema,
  ReadArtifactResponseSchema,
  RegistryService,
} from 'lamella/proto/lamella/model/v1/registry_service';
import type { InferenceBackendService } from 'lamella/proto/lamella/serving/v1/inference_backend_service';
import type { InferConfig } from '../../../plugins/serving/infer/config.ts';

/** A model with the input `x`, UINT8 [-1,2], and the outputs `sum`, FP32 [-1,2], which is x + add, and `copy`, UINT8. */
export function addModel(add: number): Uint8Array {
  const graph = new GraphBuilder();
  const x = graph.input('x', { type: ElementType.UINT8, shape: ['batch', 2] satisfies Shape });
  const values = graph.apply('Cast', [x], { to: intAttribute(ElementType.FLOAT) });
  graph.output('sum', graph.apply('Add', [values, graph.scalar(add)]));
  graph.output('copy', graph.apply('Identity', [x]));
  return encodeModel(finishModel(graph.finish('add')));
}

/** A registry in memory: the artifacts of each model, numbered from 1, and its aliases. */
export class FakeRegistry {
  readonly files: Map<string, Uint8Array[]> = new Map();
  readonly aliases: Map<string, number> = new Map();

  /** Registers a version and makes it the champion. */
  add(model: string, file: Uint8Array): number {
    const files = this.files.get(model) ?? [];
    files.push(file);
    this.files.set(model, files);
    this.aliases.set(`models/${model}/aliases/champion`, files.length);
    return files.length;
  }

  client(): Client<typeof RegistryService> {
    const { aliases, files } = this;
    const versionOf = (name: string): ModelVersion => {
      const [, model = '', , version] = name.split('/');
      const number = aliases.get(name) ?? Number(version);
      const file = files.get(model)?.[number - 1];
      if (file === undefined)
        throw new DeclaredError({ reason: 'NONE', code: Code.NOT_FOUND, message: 'none' });
      const digest = createHash('sha256').update(file).digest('hex');
      return create(ModelVersionSchema, { model, version: BigInt(number), digest });
    };
    const methods: Partial<Client<typeof RegistryService>> = {
      async *readArtifact({ name = '' }) {
        const facts = versionOf(name);
        const file = files.get(facts.model)?.[Number(facts.version) - 1] ?? new Uint8Array();
        yield create(ReadArtifactResponseSchema, { version: facts, chunk: file.subarray(0, 10) });
        yield create(ReadArtifactResponseSchema, { chunk: file.subarray(10) });
      },
      getVersion: async ({ name = '' }) => create(GetVersionResponseSchema, { version: versionOf(name) }),
      listVersions: async ({ parent = '' }) => {
        const count = files.get(parent.split('/')[1] ?? '')?.length ?? 0;
        const versions = Array.from({ length: count }, (_, index) =>
          versionOf(`${parent}/versions/${index + 1}`),
        );
        return create(ListVersionsResponseSchema, { versions: versions.toReversed() });
      },
      listModels: () =>
        Promise.resolve(
          create(ListModelsResponseSchema, {
            models: [...files.keys()].map((name) => create(ModelSchema, { name: `models/${name}` })),
          }),
        ),
    };
    return methods as Client<typeof RegistryService>;
  }
}

/** Storage in memory, which outlives a repository. */
export class MemoryStorage implements Storage {
  readonly directory: string = mkdtempSync(path.join(tmpdir(), 'lamella-infer-'));
  readonly #values: Map<string, unknown> = new Map();

  get<Value>(key: string): Promise<Value | undefined> {
    return Promise.resolve(this.#values.get(key) as Value | undefined);
  }

  put(key: string, value: unknown): Promise<void> {
    this.#values.set(key, value);
    return Promise.resolve();
  }

  delete(key: string): Promise<boolean> {
    return Promise.resolve(this.#values.delete(key));
  }

  async *range(prefix: string): AsyncIterable<StorageEntry> {
    for (const key of [...this.#values.keys()].toSorted()) {
      if (key.startsWith(prefix)) yield { key, value: this.#values.get(key) };
    }
  }
}

const CONFIG: InferConfig = {
  serverName: 'lamella',
  instances: 1,
  maxBatchRows: 64,
  queueLimit: 2_048,
  adaptiveLimit: false,
  intraOpThreads: 1,
  runTimeoutMs: 60_000,
  memoryLimitMib: 4_096,
  maxModelBytes: 1_000_000,
  modelRepositories: [],
  modelControlMode: 'explicit',
  pollSeconds: 1,
  allowSentFiles: false,
  responseCacheMib: 1,
  responseCacheTtlSeconds: 0,
  rateLimit: false,
  maxLoadedModels: 0,
  modelMemoryMib: 0,
  loadOnDemand: false,
  allowSharedMemory: false,
};

const silent = (): void => undefined;

const metrics: Metrics = {
  counter: () => ({ add: silent, series: () => ({ add: silent }) }),
  gauge: () => ({ set: silent, series: () => ({ set: silent }) }),
  histogram: () => ({ observe: silent, series: () => ({ observe: silent }) }),
  exposition: () => Promise.resolve(''),
};

const missing = (): Promise<never> =>
  Promise.reject(new DeclaredError({ reason: 'NONE', code: Code.NOT_FOUND, message: 'there is none.' }));

const NO_BACKEND: Partial<Client<typeof InferenceBackendService>> = {
  openModel: missing,
  closeModel: missing,
};

/** A host for the inference plugin's repository. */
export function fakeHost(
  registry: FakeRegistry,
  storage: Storage,
  config: Partial<InferConfig> = {},
): Host<InferConfig> {
  const client = registry.client();
  const host: Partial<Host<InferConfig>> = {
    pluginId: 'serving.infer',
    version: '0.1.0',
    config: { ...CONFIG, ...config },
    log: { debug: silent, info: silent, warn: silent, error: silent },
    clock: { now: () => Date.now() },
    signal: new AbortController().signal,
    storage,
    metrics,
    // Nobody provides backends here.
    call: (service) => (service.typeName === RegistryService.typeName ? client : NO_BACKEND) as never,
  };
  return host as Host<InferConfig>;
}

/** The context of a call that nobody cancels. */
export function callContext(signal: AbortSignal = new AbortController().signal): CallContext {
  return {
    signal,
    deadlineMs: undefined,
    requestId: 'test',
    headers: new Map(),
    responseHeaders: new Map(),
    responseTrailers: new Map(),
    peer: 'test',
  };
}
