import http2 from 'node:http2';
import type { ClientHttp2Session, ClientHttp2Stream } from 'node:http2';
import net from 'node:net';
import { type CallHeaders, Code } from '../../sdk/index.ts';
import { StatusError } from '../status-error.ts';
import { broken, frame } from './frame.ts';
import { type AnswerListener, LinkCall, lost } from './link-call.ts';
import { requestHeaders } from './metadata.ts';

/** Where a gRPC server listens. */
export type LinkTarget = { readonly socketPath: string } | { readonly host: string; readonly port: number };

/** Options of one call. */
export interface LinkCallOptions {
  readonly headers?: CallHeaders | undefined;
  /** Moment the call must be over, milliseconds since the epoch. */
  readonly deadlineMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Answer of a call with one message. */
export interface LinkUnaryResult {
  readonly message: Uint8Array;
  readonly headers: CallHeaders;
  readonly trailers: CallHeaders;
}

/** Receive window of a stream and of the connection, in bytes; the default of 64 KiB would stall large messages. */
const WINDOW_BYTES = 4 * 1024 * 1024;

/** Largest message accepted, in bytes: what a gRPC length can say, within what a Buffer can hold. */
const MAX_MESSAGE_BYTES = 2 ** 31 - 1;

/** Longest timer Node can hold, in milliseconds. */
const TIMER_LIMIT_MS = 2 ** 31 - 1;

/**
 * A minimal gRPC client for one connection: no name resolution, no retries, no balancing.
 *
 * @remarks The kernel stands between callers and plugin processes on every call, and the general client costs two to
 * three times the CPU of this one. Wire format: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md.
 */
export class LinkClient {
  readonly #session: ClientHttp2Session;
  /** Resolves when the connection has ended, for whatever reason. */
  readonly closed: Promise<void>;

  private constructor(session: ClientHttp2Session) {
    this.#session = session;
    // Calls learn of it through their own streams.
    session.on('error', () => undefined);
    this.closed = new Promise((resolve) => {
      session.once('close', resolve);
    });
  }

  /** @throws Error of the socket when nobody listens. */
  static async connect(target: LinkTarget): Promise<LinkClient> {
    const socket = 'socketPath' in target ? net.connect(target.socketPath) : net.connect(target.port, target.host);
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
    socket.setNoDelay(true);
    const session = http2.connect('http://localhost', {
      createConnection: () => socket,
      settings: { initialWindowSize: WINDOW_BYTES, enablePush: false },
    });
    session.setLocalWindowSize(WINDOW_BYTES);
    return new LinkClient(session);
  }

  /** @throws StatusError */
  async unary(path: string, request: Uint8Array, options: LinkCallOptions = {}): Promise<LinkUnaryResult> {
    let headers: CallHeaders = new Map();
    let trailers: CallHeaders = new Map();
    const { stream, call, release } = this.#open(path, options, {
      onHeaders: (received) => {
        headers = received;
      },
      onTrailers: (received) => {
        trailers = received;
      },
    });
    try {
      stream.end(frame(request));
      const message = await call.next();
      if (message === undefined) throw broken('it ended well without a message');
      // The status decides: a message may be followed by an error.
      if ((await call.next()) !== undefined) throw broken('a second message came for a unary call');
      return { message, headers, trailers };
    } finally {
      release();
    }
  }

  /** Any kind of call; ends with StatusError. Leaving the loop early cancels the call. */
  async *stream(
    path: string,
    requests: AsyncIterable<Uint8Array>,
    options: LinkCallOptions & AnswerListener = {},
  ): AsyncGenerator<Uint8Array> {
    const { stream, call, release } = this.#open(path, options, options);
    void send(stream, requests, call);
    let isOver = false;
    try {
      for (;;) {
        const message = await call.next();
        if (message === undefined) break;
        yield message;
      }
      isOver = true;
    } catch (error) {
      isOver = true;
      throw error;
    } finally {
      release();
      if (!isOver) stream.close(http2.constants.NGHTTP2_CANCEL);
    }
  }

  #open(
    path: string,
    { headers, deadlineMs, signal }: LinkCallOptions,
    listener: AnswerListener,
  ): { stream: ClientHttp2Stream; call: LinkCall; release: () => void } {
    if (this.#session.closed || this.#session.destroyed) throw lost('it is closed');
    signal?.throwIfAborted();
    const stream = this.#session.request(requestHeaders(path, headers, deadlineMs));
    const call = new LinkCall(stream, MAX_MESSAGE_BYTES, listener);
    const onAbort = (): void => call.fail(aborted(signal?.reason));
    signal?.addEventListener('abort', onAbort, { once: true });
    const timer = deadlineMs === undefined ? undefined : expire(call, deadlineMs - Date.now());
    return {
      stream,
      call,
      release: () => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', onAbort);
      },
    };
  }

  /** Ends the connection; running calls fail with UNAVAILABLE. */
  async close(): Promise<void> {
    this.#session.destroy();
    await this.closed;
  }
}

function expire(call: LinkCall, leftMs: number): NodeJS.Timeout | undefined {
  if (leftMs > TIMER_LIMIT_MS) return undefined;
  const error = new StatusError({
    code: Code.DEADLINE_EXCEEDED,
    message: 'The deadline of the call passed; give it more time or ask for less.',
  });
  return setTimeout(() => call.fail(error), Math.max(0, leftMs));
}

function aborted(reason: unknown): StatusError {
  return reason instanceof StatusError
    ? reason
    : new StatusError({ code: Code.CANCELLED, message: 'The call was cancelled.', cause: reason });
}

/** Sends requests no faster than the other side takes them. */
async function send(
  stream: ClientHttp2Stream,
  requests: AsyncIterable<Uint8Array>,
  call: LinkCall,
): Promise<void> {
  try {
    for await (const request of requests) {
      if (stream.destroyed || stream.closed) return;
      if (!stream.write(frame(request))) await writable(stream);
    }
    stream.end();
  } catch (cause) {
    call.fail(
      cause instanceof StatusError
        ? cause
        : new StatusError({ code: Code.CANCELLED, message: 'The request stream failed.', cause }),
    );
  }
}

async function writable(stream: ClientHttp2Stream): Promise<void> {
  await new Promise<void>((resolve) => {
    const done = (): void => {
      stream.off('drain', done);
      stream.off('close', done);
      resolve();
    };
    stream.on('drain', done);
    stream.on('close', done);
  });
}
