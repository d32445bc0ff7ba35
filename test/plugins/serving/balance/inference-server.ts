import * as grpc from '@grpc/grpc-js';
import { create, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import {
  type ModelInferRequest,
  ModelInferRequestSchema,
  ModelInferResponseSchema,
  ModelReadyResponseSchema,
} from 'lamella/proto/inference/grpc_inference_service';

/** A request as a server sees it. */
export interface SeenRequest {
  readonly request: ModelInferRequest;
  readonly metadata: grpc.Metadata;
  /** Resolves when the caller has given up. */
  readonly cancelled: Promise<void>;
}

/** What a server answers; a thrown {@link grpc.ServiceError} becomes the status. */
export type Behaviour = (
  seen: SeenRequest,
) =>
  | MessageInitShape<typeof ModelInferResponseSchema>
  | Promise<MessageInitShape<typeof ModelInferResponseSchema>>;

const identity = (bytes: Buffer): Buffer => bytes;
const PREFIX = '/inference.GRPCInferenceService/';

/** A server of the Open Inference Protocol that is none of ours: grpc-js, without health, reflection or error details. */
export class InferenceServer {
  readonly name: string;
  address = '';
  requests = 0;
  isReady = true;
  behaviour: Behaviour;
  #server: grpc.Server | undefined;

  private constructor(name: string, behaviour: Behaviour) {
    this.name = name;
    this.behaviour = behaviour;
  }

  /** Starts one that answers with its name. */
  static async start(name: string, behaviour?: Behaviour): Promise<InferenceServer> {
    const server = new InferenceServer(name, behaviour ?? (() => answerOf(name)));
    await server.listen('127.0.0.1:0');
    return server;
  }

  /** Listens again at the address it had. */
  async listen(address: string = this.address): Promise<void> {
    const server = new grpc.Server();
    server.register(`${PREFIX}ModelInfer`, this.#infer, identity, identity, 'unary');
    server.register(`${PREFIX}ModelReady`, this.#ready, identity, identity, 'unary');
    const port = await new Promise<number>((resolve, reject) => {
      server.bindAsync(address, grpc.ServerCredentials.createInsecure(), (error, bound) =>
        error === null ? resolve(bound) : reject(error),
      );
    });
    this.#server = server;
    this.address = `127.0.0.1:${port}`;
  }

  readonly #infer: grpc.handleUnaryCall<Buffer, Buffer> = (call, callback) => {
    this.requests += 1;
    const request = fromBinary(ModelInferRequestSchema, call.request);
    const cancelled = new Promise<void>((resolve) => {
      call.on('cancelled', resolve);
    });
    Promise.resolve({ request, metadata: call.metadata, cancelled })
      .then((seen) => this.behaviour(seen))
      .then(
        (answer) => {
          const message = create(ModelInferResponseSchema, answer);
          callback(null, Buffer.from(toBinary(ModelInferResponseSchema, message)));
        },
        (error: grpc.ServiceError) => callback(error),
      );
  };

  readonly #ready: grpc.handleUnaryCall<Buffer, Buffer> = (_call, callback) => {
    const message = create(ModelReadyResponseSchema, { ready: this.isReady });
    callback(null, Buffer.from(toBinary(ModelReadyResponseSchema, message)));
  };

  /** Is gone at once, with all connections. */
  stop(): void {
    this.#server?.forceShutdown();
  }
}

/** An answer whose one output is a text. */
export function answerOf(text: string): MessageInitShape<typeof ModelInferResponseSchema> {
  const bytes = Buffer.from(text);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(bytes.length);
  return {
    modelName: 'remote',
    modelVersion: '1',
    outputs: [{ name: 'who', datatype: 'BYTES', shape: [1n] }],
    rawOutputContents: [Buffer.concat([length, bytes])],
  };
}

/** An answer whose one output are numbers. */
export function numbers(...values: number[]): MessageInitShape<typeof ModelInferResponseSchema> {
  const raw = new Uint8Array(Float32Array.from(values).buffer);
  return {
    modelName: 'remote',
    outputs: [{ name: 'y', datatype: 'FP32', shape: [BigInt(values.length)] }],
    rawOutputContents: [raw],
  };
}

/** A failure as grpc-js servers send it. */
export function failure(code: grpc.status, pushback?: string): grpc.ServiceError {
  const metadata = new grpc.Metadata();
  if (pushback !== undefined) metadata.set('grpc-retry-pushback-ms', pushback);
  const details = 'it cannot';
  return Object.assign(new Error(details), { code, details, metadata });
}
