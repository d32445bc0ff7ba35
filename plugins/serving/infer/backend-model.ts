import { randomUUID } from 'node:crypto';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { type CallOptions, type Client, Code, isDeclaredError } from 'lamella/sdk';
import type { OrtTensors } from 'lamella/sdk/ort';
import type { InferParameterSchema } from 'lamella/proto/inference/grpc_inference_service';
import type { ModelConfig } from 'lamella/proto/inference/model_config';
import type {
  InferenceBackendService,
  OpenModelRequestSchema,
  RunModelResponse,
} from 'lamella/proto/lamella/serving/v1/inference_backend_service';
import { fromBackendTensors, toBackendTensors } from './backend-tensors.ts';
import { BackendFailed, BackendUnavailable, RequestInvalid } from './errors.ts';
import type { ModelShape } from './model-shape.ts';

/** Makes the client of a backend by its name. */
export type BackendClients = (backend: string) => Client<typeof InferenceBackendService>;

/** What a backend opens. */
export interface BackendModelParts {
  /** Name of the backend, for messages. */
  readonly backend: string;
  /** The plugin that runs it. */
  readonly client: Client<typeof InferenceBackendService>;
  /** Model name. */
  readonly name: string;
  /** Version number in text. */
  readonly version: string;
  /** Configuration as it was given. */
  readonly config: ModelConfig;
  /** Its file; empty when there is none. It is kept to open the model again, and must not change. */
  readonly file: Uint8Array;
}

/** What a request for a decoupled model has beside its inputs. */
export interface BackendRun {
  /** Outputs that are wanted; empty means all. */
  readonly outputs?: string[];
  /** Its parameters. */
  readonly parameters?: Record<string, MessageInitShape<typeof InferParameterSchema>>;
}

const CHUNK_BYTES = 1_048_576;
/** A model is opened so often for one request: its plugin may be replaced meanwhile. */
const MOST_OPENS = 3;

/** A version of a model that a plugin runs. It is opened again when that plugin has been replaced or started again. */
export class BackendModel {
  readonly #parts: BackendModelParts;
  readonly #id: string = randomUUID();
  #reopening: Promise<unknown> | undefined;

  constructor(parts: BackendModelParts) {
    this.#parts = parts;
  }

  /** Opens it. @returns what the backend knows of it. @throws what the backend throws */
  async open(options: CallOptions = {}): Promise<ModelConfig | undefined> {
    const { config } = await this.#parts.client.openModel(this.#openRequests(), options);
    return config;
  }

  /** Runs it once. @throws REQUEST_INVALID BACKEND_FAILED BACKEND_UNAVAILABLE */
  async run(tensors: OrtTensors, shape: ModelShape, options: CallOptions): Promise<OrtTensors> {
    const rules = { shape, backend: this.#parts.backend, isWhole: true };
    let outputs: OrtTensors | undefined;
    for await (const answer of this.#answers(tensors, {}, options)) {
      if (outputs !== undefined)
        throw this.#failed('it gave more than one answer, and the model is not decoupled');
      outputs = fromBackendTensors(answer.outputs, rules);
    }
    if (outputs === undefined) throw this.#failed('it gave no answer');
    return outputs;
  }

  /** Runs it once as a decoupled model. @throws REQUEST_INVALID BACKEND_FAILED BACKEND_UNAVAILABLE */
  async *stream(
    tensors: OrtTensors,
    { shape, ...run }: BackendRun & { readonly shape: ModelShape },
    options: CallOptions,
  ): AsyncGenerator<OrtTensors> {
    const rules = { shape, backend: this.#parts.backend, isWhole: false };
    for await (const answer of this.#answers(tensors, run, options)) {
      yield fromBackendTensors(answer.outputs, rules);
    }
  }

  /** Closes it; a backend that does not answer has nothing to close. */
  async close(): Promise<void> {
    await this.#parts.client.closeModel({ modelId: this.#id }).catch(() => undefined);
  }

  async *#answers(
    tensors: OrtTensors,
    run: BackendRun,
    options: CallOptions,
  ): AsyncGenerator<RunModelResponse> {
    const request = { ...run, modelId: this.#id, inputs: toBackendTensors(tensors) };
    for (let opens = 0; ; opens += 1) {
      let isAnswered = false;
      try {
        for await (const answer of this.#parts.client.runModel(request, options)) {
          isAnswered = true;
          yield answer;
        }
        return;
      } catch (error) {
        if (isAnswered || opens === MOST_OPENS || codeOf(error) !== Code.NOT_FOUND)
          throw this.#failure(error);
        await this.#reopen();
      }
    }
  }

  /** Requests that find it closed at the same time open it once. */
  async #reopen(): Promise<void> {
    this.#reopening ??= this.open().finally(() => (this.#reopening = undefined));
    try {
      await this.#reopening;
    } catch (error) {
      throw this.#failure(error);
    }
  }

  async *#openRequests(): AsyncGenerator<MessageInitShape<typeof OpenModelRequestSchema>> {
    const { name, version, config, file } = this.#parts;
    yield { part: { case: 'header', value: { modelId: this.#id, name, version, config } } };
    for (let start = 0; start < file.byteLength; start += CHUNK_BYTES) {
      yield { part: { case: 'chunk', value: file.subarray(start, start + CHUNK_BYTES) } };
    }
  }

  /** What a failure of the backend means to callers. */
  #failure(error: unknown): unknown {
    const code = codeOf(error);
    if (code === undefined || (isDeclaredError(error) && error instanceof BackendFailed)) return error;
    const problem = error instanceof Error ? error.message : String(error);
    if (code === Code.INVALID_ARGUMENT) return new RequestInvalid({ problem }, { cause: error });
    if (code === Code.CANCELLED || code === Code.DEADLINE_EXCEEDED) return error;
    const { backend } = this.#parts;
    if (code === Code.UNAVAILABLE) return new BackendUnavailable({ backend, problem }, { cause: error });
    return new BackendFailed({ backend, problem }, { cause: error });
  }

  #failed(problem: string): Error {
    return new BackendFailed({
      backend: this.#parts.backend,
      problem: `${problem} (model '${this.#parts.name}')`,
    });
  }
}

/** Status of an error, whether it was raised here or came over a link. */
function codeOf(error: unknown): unknown {
  return typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
}
