import * as grpc from '@grpc/grpc-js';
import type { DescMethod } from '@bufbuild/protobuf';
import type { CallHeaders, Code } from '../../sdk/index.ts';
import type { Evidence } from '../access/principal.ts';
import { Call } from '../call.ts';
import type { Target } from '../target.ts';
import { only, streamOf } from '../target.ts';
import { toStatus } from './status.ts';

type Bytes = Buffer;
type AnyCall =
  | grpc.ServerUnaryCall<Bytes, Bytes>
  | grpc.ServerWritableStream<Bytes, Bytes>
  | grpc.ServerReadableStream<Bytes, Bytes>
  | grpc.ServerDuplexStream<Bytes, Bytes>;

/** Which plugin calls, read from the metadata; `undefined` for everybody else. */
export type Identify = (metadata: grpc.Metadata) => string | undefined;

/** Input of {@link registerMethod}. */
export interface MethodRegistration {
  readonly path: string;
  readonly kind: DescMethod['methodKind'];
  readonly target: Target;
  readonly identify: Identify;
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

const HANDLERS: Record<DescMethod['methodKind'], (method: MethodRegistration) => grpc.UntypedHandleCall> = {
  unary:
    ({ path, target, identify }: MethodRegistration): grpc.handleUnaryCall<Bytes, Bytes> =>
    (request, callback) => {
      const call = toCall(request, identify);
      target.unary(path, request.request, call).then(
        (answer) => {
          sendHeaders(request, call);
          callback(null, toBuffer(answer), trailers(call));
        },
        (error: unknown) => callback(statusObject(error, call)),
      );
    },
  client_streaming:
    ({ path, target, identify }: MethodRegistration): grpc.handleClientStreamingCall<Bytes, Bytes> =>
    (requests, callback) => {
      const call = toCall(requests, identify);
      only(target.stream(path, messagesOf(requests), call)).then(
        (answer) => {
          sendHeaders(requests, call);
          callback(null, toBuffer(answer), trailers(call));
        },
        (error: unknown) => callback(statusObject(error, call)),
      );
    },
  server_streaming:
    ({ path, target, identify }: MethodRegistration): grpc.handleServerStreamingCall<Bytes, Bytes> =>
    (request) => {
      const call = toCall(request, identify);
      void respond(request, target.stream(path, streamOf(request.request), call), call);
    },
  bidi_streaming:
    ({ path, target, identify }: MethodRegistration): grpc.handleBidiStreamingCall<Bytes, Bytes> =>
    (duplex) => {
      const call = toCall(duplex, identify);
      void respond(duplex, target.stream(path, messagesOf(duplex), call), call);
    },
};

/** Reads a stream without destroying it at the end, as iteration would: its other half still has answers to send. */
function messagesOf(
  source: grpc.ServerReadableStream<Bytes, Bytes> | grpc.ServerDuplexStream<Bytes, Bytes>,
): AsyncIterable<Bytes> {
  return source.iterator({ destroyOnReturn: false }) as AsyncIterable<Bytes>;
}

/** Longest deadline that is kept, in milliseconds; anything longer is as good as none and would overflow timers. */
const DEADLINE_LIMIT_MS = 2 ** 31 - 1;

function toCall(source: AnyCall, identify: Identify): Call {
  const caller = identify(source.metadata);
  const deadline = source.getDeadline();
  const deadlineMs = deadline instanceof Date ? deadline.getTime() : deadline;
  return new Call({
    readHeaders: () => toHeaders(source.metadata),
    deadlineMs: deadlineMs < Date.now() + DEADLINE_LIMIT_MS ? deadlineMs : undefined,
    readPeer: () => source.getPeer(),
    caller,
    isForeign: caller !== undefined,
    evidence: caller === undefined ? new GrpcEvidence(source) : undefined,
    onCancelled: (listener) => {
      if (source.cancelled) listener();
      else (source as grpc.ServerUnaryCall<Bytes, Bytes>).once('cancelled', listener);
    },
  });
}

class GrpcEvidence implements Evidence {
  readonly #source: AnyCall;

  constructor(source: AnyCall) {
    this.#source = source;
  }

  header(name: string): string | undefined {
    const values = this.#source.metadata.get(name);
    return values.length === 0 ? undefined : values.join(', ');
  }

  certificateNames(): string | undefined {
    return this.#source.getAuthContext().sslPeerCertificate?.subjectaltname;
  }

  peer(): string {
    return this.#source.getPeer();
  }
}

function toHeaders(metadata: grpc.Metadata): CallHeaders {
  const headers: CallHeaders = new Map();
  for (const key of Object.keys(metadata.getMap())) {
    const [first] = metadata.get(key);
    if (first !== undefined) headers.set(key, first);
  }
  return headers;
}

function toMetadata(headers: CallHeaders): grpc.Metadata {
  const metadata = new grpc.Metadata();
  for (const [name, value] of headers) {
    metadata.set(name, typeof value === 'string' ? value : toBuffer(value));
  }
  return metadata;
}

function sendHeaders(source: AnyCall, call: Call): void {
  if (call.setHeaders === undefined) return;
  // Each kind of call has the method, but with overloads that do not unite.
  (source as grpc.ServerUnaryCall<Bytes, Bytes>).sendMetadata(toMetadata(call.setHeaders));
}

function trailers(call: Call): grpc.Metadata | undefined {
  return call.setTrailers === undefined ? undefined : toMetadata(call.setTrailers);
}

type WritableCall = grpc.ServerWritableStream<Bytes, Bytes> | grpc.ServerDuplexStream<Bytes, Bytes>;

/** Sends a stream of answers, no faster than the client reads. */
async function respond(sink: WritableCall, answers: AsyncIterable<Uint8Array>, call: Call): Promise<void> {
  let started = false;
  const start = (): void => {
    if (!started) sendHeaders(sink, call);
    started = true;
  };
  call.flushHeaders = start;
  // A stream that waits for its caller must end with it, so the signal is always needed here.
  const { signal } = call;
  try {
    for await (const answer of answers) {
      if (signal.aborted) throw signal.reason;
      start();
      if (!sink.write(toBuffer(answer))) await writable(sink, signal);
    }
    start();
    sink.end(trailers(call));
  } catch (error) {
    start();
    sink.emit('error', statusObject(error, call));
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

function statusObject(error: unknown, call: Call): grpc.ServerErrorResponse | grpc.StatusObject {
  const status = toStatus(error, () => call.requestId);
  const metadata = toMetadata(new Map([...(call.setTrailers ?? []), ...status.trailers]));
  if (status.detailsBin !== undefined) {
    metadata.set('grpc-status-details-bin', toBuffer(status.detailsBin));
  }
  return { code: status.code satisfies Code as grpc.status, details: status.message, metadata };
}
