import * as grpc from '@grpc/grpc-js';
import type { DescMethod } from '@bufbuild/protobuf';
import type { Code, Logger } from '../../sdk/index.ts';
import { Call } from '../call.ts';
import type { Target } from '../target.ts';
import { only, streamOf } from '../target.ts';
import { type GrpcCall, GrpcSource, type Identify } from './grpc-source.ts';
import { PATH_HEADER, UNKNOWN_METHOD } from './http2-streams.ts';
import { statusMessage } from './status-details.ts';
import { toStatus } from './status.ts';

type Bytes = Buffer;

/** Input of {@link registerMethod}. */
export interface MethodRegistration {
  readonly path: string;
  readonly kind: DescMethod['methodKind'];
  readonly target: Target;
  readonly identify: Identify;
  readonly log: Logger;
}

const identity = (bytes: Bytes): Bytes => bytes;

/** Messages travel through grpc-js as bytes; it needs a real Buffer, and a view costs no copy. */
function toBuffer(bytes: Uint8Array): Bytes {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

const GRPC_KINDS = {
  unary: 'unary',
  client_streaming: 'clientStream',
  server_streaming: 'serverStream',
  bidi_streaming: 'bidi',
} as const;

/**
 * Registers one method on a grpc-js server with identity codecs.
 *
 * @remarks This is the only place where grpc-js handlers are written: a handler that rejects would leave its client
 * hanging, so everything ends in a status here.
 * @returns false when the path is registered already.
 */
export function registerMethod(server: grpc.Server, method: MethodRegistration): boolean {
  // The kinds of handler differ only in types that grpc-js does not look at.
  const handler = HANDLERS[method.kind](method) as grpc.handleUnaryCall<Bytes, Bytes>;
  return server.register(method.path, handler, identity, identity, GRPC_KINDS[method.kind]);
}

/**
 * Handles every method that is not registered: of a plugin that is on its way up nobody knows yet what its methods are.
 * Whatever kind a method has, on the wire it is messages both ways.
 *
 * @remarks Needs {@link tendStreams}, which sends such calls here.
 */
export function registerUnknown(
  server: grpc.Server,
  method: Omit<MethodRegistration, 'path' | 'kind'>,
): void {
  const handler: grpc.handleBidiStreamingCall<Bytes, Bytes> = (duplex) => {
    const path = String(duplex.metadata.get(PATH_HEADER)[0] ?? '');
    duplex.metadata.remove(PATH_HEADER);
    const answer = new Answer(duplex, { ...method, path });
    void answer.stream(duplex, method.target.stream(path, messagesOf(duplex), answer.call));
  };
  server.register(UNKNOWN_METHOD, handler, identity, identity, 'bidi');
}

const HANDLERS: Record<DescMethod['methodKind'], (method: MethodRegistration) => grpc.UntypedHandleCall> = {
  unary:
    (method: MethodRegistration): grpc.handleUnaryCall<Bytes, Bytes> =>
    (request, callback) => {
      const answer = new Answer(request, method);
      answer.settle(method.target.unary(method.path, request.request, answer.call), callback);
    },
  client_streaming:
    (method: MethodRegistration): grpc.handleClientStreamingCall<Bytes, Bytes> =>
    (requests, callback) => {
      const answer = new Answer(requests, method);
      answer.settle(only(method.target.stream(method.path, messagesOf(requests), answer.call)), callback);
    },
  server_streaming:
    (method: MethodRegistration): grpc.handleServerStreamingCall<Bytes, Bytes> =>
    (request) => {
      const answer = new Answer(request, method);
      void answer.stream(request, method.target.stream(method.path, streamOf(request.request), answer.call));
    },
  bidi_streaming:
    (method: MethodRegistration): grpc.handleBidiStreamingCall<Bytes, Bytes> =>
    (duplex) => {
      const answer = new Answer(duplex, method);
      void answer.stream(duplex, method.target.stream(method.path, messagesOf(duplex), answer.call));
    },
};

/** Reads a stream without destroying it at the end, as iteration would: its other half still has answers to send. */
function messagesOf(
  source: grpc.ServerReadableStream<Bytes, Bytes> | grpc.ServerDuplexStream<Bytes, Bytes>,
): AsyncIterable<Bytes> {
  return source.iterator({ destroyOnReturn: false }) as AsyncIterable<Bytes>;
}

type WritableCall = grpc.ServerWritableStream<Bytes, Bytes> | grpc.ServerDuplexStream<Bytes, Bytes>;

/** What goes back to a client: headers once, answers, and the end with trailers. */
class Answer {
  readonly call: Call;
  readonly #source: GrpcCall;
  readonly #method: Omit<MethodRegistration, 'kind'>;
  #hasStarted = false;

  constructor(source: GrpcCall, method: Omit<MethodRegistration, 'kind'>) {
    this.#source = source;
    this.call = new Call(new GrpcSource(source, method.identify));
    this.#method = method;
  }

  /** Sends the one answer. */
  settle(answer: Promise<Uint8Array>, callback: grpc.sendUnaryData<Bytes>): void {
    answer.then(
      (bytes) => {
        this.#start();
        callback(null, toBuffer(bytes), this.#trailers());
      },
      (error: unknown) => callback(this.#status(error)),
    );
  }

  /** Sends a stream of answers, no faster than the client reads. */
  async stream(sink: WritableCall, answers: AsyncIterable<Uint8Array>): Promise<void> {
    this.call.flushHeaders = () => this.#start();
    // A stream that waits for its caller must end with it, so the signal is always needed here.
    const { signal } = this.call;
    try {
      for await (const answer of answers) {
        if (signal.aborted) throw signal.reason;
        this.#start();
        if (!sink.write(toBuffer(answer))) await writable(sink, signal);
      }
      this.#start();
      sink.end(this.#trailers());
    } catch (error) {
      this.#start();
      sink.emit('error', this.#status(error));
    }
  }

  #start(): void {
    if (this.#hasStarted) return;
    this.#hasStarted = true;
    const { setHeaders } = this.call;
    // Each kind of call has the method, but with overloads that do not unite.
    if (setHeaders !== undefined)
      (this.#source as grpc.ServerUnaryCall<Bytes, Bytes>).sendMetadata(this.#metadata(setHeaders));
  }

  #trailers(): grpc.Metadata | undefined {
    return this.call.setTrailers === undefined ? undefined : this.#metadata(this.call.setTrailers);
  }

  #status(error: unknown): grpc.ServerErrorResponse | grpc.StatusObject {
    const status = toStatus(error, () => this.call.requestId);
    const metadata = this.#metadata([...(this.call.setTrailers ?? []), ...status.trailers]);
    if (status.detailsBin !== undefined) {
      metadata.set('grpc-status-details-bin', toBuffer(status.detailsBin));
    }
    const details = statusMessage(status.message);
    return { code: status.code satisfies Code as grpc.status, details, metadata };
  }

  /** Plugins set what they like; what gRPC cannot carry must not take the answer, or the kernel, down with it. */
  #metadata(headers: Iterable<readonly [string, string | Uint8Array]>): grpc.Metadata {
    const metadata = new grpc.Metadata();
    for (const [name, value] of headers) {
      try {
        metadata.set(name, typeof value === 'string' ? value : toBuffer(value));
      } catch (error) {
        const { path: method } = this.#method;
        this.#method.log.warn('metadata that gRPC cannot carry was left out of an answer', { method, error });
      }
    }
    return metadata;
  }
}

/** Waits until the stream takes more, or until nobody will read it any more. */
async function writable(sink: WritableCall, signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => {
    const done = (): void => {
      sink.off('drain', done);
      sink.off('close', done);
      signal.removeEventListener('abort', done);
      resolve();
    };
    sink.on('drain', done);
    sink.on('close', done);
    signal.addEventListener('abort', done, { once: true });
  });
}
