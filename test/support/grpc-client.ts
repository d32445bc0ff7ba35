import * as grpc from '@grpc/grpc-js';
import {
  create,
  type DescMethodServerStreaming,
  type DescMethodUnary,
  type DescMessage,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from '@bufbuild/protobuf';

/** What a unary call brought back. */
export interface GrpcAnswer<Output> {
  readonly answer: Output;
  readonly trailers: grpc.Metadata;
}

const identity = (bytes: Buffer): Buffer => bytes;

/** Somebody else's client, grpc-js, with the kernel's messages. */
export class GrpcClient {
  readonly #client: grpc.Client;

  constructor(address: string, options: grpc.ClientOptions = {}) {
    // Channels of one process share their connections otherwise.
    const own = { 'grpc.use_local_subchannel_pool': 1, ...options };
    this.#client = new grpc.Client(address, grpc.credentials.createInsecure(), own);
  }

  /** Fails with the `grpc.ServiceError` of a refused call. */
  unary<Input extends DescMessage, Output extends DescMessage>(
    method: DescMethodUnary<Input, Output>,
    request: MessageInitShape<Input>,
    { headers = {}, deadlineMs = 60_000 }: { headers?: Record<string, string>; deadlineMs?: number } = {},
  ): Promise<GrpcAnswer<MessageShape<Output>>> {
    return new Promise((resolve, reject) => {
      const metadata = new grpc.Metadata();
      for (const [name, value] of Object.entries(headers)) metadata.set(name, value);
      let answer: MessageShape<Output> | undefined;
      const call = this.#client.makeUnaryRequest(
        pathOf(method),
        identity,
        identity,
        Buffer.from(toBinary(method.input, create(method.input, request))),
        metadata,
        { deadline: Date.now() + deadlineMs },
        (error, bytes) => {
          if (error !== null) reject(error);
          else answer = fromBinary(method.output, bytes ?? Buffer.alloc(0));
        },
      );
      call.on('status', ({ metadata: trailers }) => {
        if (answer !== undefined) resolve({ answer, trailers });
      });
    });
  }

  /** Answers as they come; leaving the loop cancels the call. */
  async *stream<Input extends DescMessage, Output extends DescMessage>(
    method: DescMethodServerStreaming<Input, Output>,
    request: MessageInitShape<Input>,
  ): AsyncGenerator<MessageShape<Output>> {
    const bytes = Buffer.from(toBinary(method.input, create(method.input, request)));
    const call = this.#client.makeServerStreamRequest(pathOf(method), identity, identity, bytes);
    try {
      for await (const answer of call) yield fromBinary(method.output, answer as Buffer);
    } finally {
      // Cancelling says so by an error that nobody waits for any more.
      call.on('error', () => undefined);
      call.cancel();
    }
  }

  close(): void {
    this.#client.close();
  }
}

function pathOf({ parent, name }: DescMethodUnary | DescMethodServerStreaming): string {
  return `/${parent.typeName}/${name}`;
}
