import type { CallHeaders } from '../../sdk/index.ts';
import { addMetadata, timeoutValue } from '../wire/call-metadata.ts';
import { addressOf, Connection, type ConnectionTimes, type LinkTarget } from './connection.ts';
import { Deadlines } from '../wire/deadlines.ts';
import { LinkMessageTooLarge } from '../wire/errors.ts';
import { LinkClosed, LinkDeadlineExceeded, LinkRefused } from './errors.ts';
import { encodeField, methodBlock } from '../wire/http2/header-encoder.ts';
import { abortError, type CallSurroundings, LinkCall } from './link-call.ts';
import { endWithMessage, sendRequests } from './send-requests.ts';
import { type AnswerListener, StreamSink } from './stream-sink.ts';
import { type LinkUnaryResult, UnarySink } from './unary-sink.ts';

export type { AnswerListener, LinkTarget, LinkUnaryResult };

/** Options of one call. */
export interface LinkCallOptions {
  readonly headers?: CallHeaders | undefined;
  /** Moment the call must be over, in milliseconds since the epoch. */
  readonly deadlineMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /**
   * Takes the function that cancels the call, at its start; calling it after the end does nothing. For callers with a
   * cancellation of their own: an AbortController made for one call costs 10 µs, a fifth of the call.
   */
  readonly onCancellable?: ((cancel: (reason: unknown) => void) => void) | undefined;
}

/** Options of a link. */
export interface LinkOptions {
  /** Longest message sent or taken, in bytes; default 512 MiB, so that a false length cannot fill the memory. */
  readonly maxMessageBytes?: number;
  /** Longest wait for a connection, in milliseconds; default 5 s, because a local socket answers at once or never. */
  readonly connectTimeoutMs?: number;
  /**
   * Time without any sign of life after which the connection counts as lost, in milliseconds; default 30 s, because a
   * plugin whose thread is busy for seconds is slow, not dead.
   */
  readonly probeIntervalMs?: number;
  /** What errors call the other side, for example `plugin 'a.b'`; its address by default. */
  readonly name?: string;
}

/** Calls as bytes to whatever is at the other end: a process, another machine, a worker thread. */
export interface Link {
  unary(path: string, request: Uint8Array, options?: LinkCallOptions): Promise<LinkUnaryResult>;
  stream(
    path: string,
    requests: AsyncIterable<Uint8Array>,
    options?: LinkCallOptions & AnswerListener,
  ): AsyncIterable<Uint8Array>;
}

const MAX_MESSAGE_BYTES = 512 * 1024 * 1024;
const CONNECT_TIMEOUT_MS = 5_000;
const PROBE_INTERVAL_MS = 30_000;

/**
 * A minimal gRPC client for one server: no name resolution, no balancing, no retries but of calls that never began.
 *
 * @remarks The kernel stands between callers and plugin processes on every call, and the general client costs two to
 * three times the CPU of this one. When the server ends the connection and still listens, as it does after too many
 * cancelled streams or at the age limit of connections, the link connects anew by itself; running calls on a lost
 * connection fail with LINK_LOST. Wire format: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md.
 */
export class LinkClient implements Link {
  readonly #target: LinkTarget;
  readonly #address: string;
  readonly #methods: MethodBlocks;
  readonly #limitBytes: number;
  readonly #times: ConnectionTimes;
  readonly #deadlines: Deadlines = new Deadlines();
  readonly #connections: Set<Connection> = new Set();
  #surroundings: CallSurroundings;
  #reconnecting: Promise<void> | undefined;
  #isClosed = false;
  #resolveClosed: () => void = () => undefined;
  /** Resolves when the link is closed for good: by {@link close}, or because its server is gone. */
  readonly closed: Promise<void>;

  private constructor(target: LinkTarget, connection: Connection, options: LinkOptions) {
    this.#target = target;
    this.#address = options.name ?? addressOf(target);
    this.#methods = new MethodBlocks(target);
    this.#limitBytes = options.maxMessageBytes ?? MAX_MESSAGE_BYTES;
    this.#times = timesOf(options);
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve;
    });
    this.#surroundings = this.#adopt(connection);
  }

  /** @throws LINK_UNREACHABLE when nobody listens, or what listens does not speak HTTP/2. */
  static async connect(target: LinkTarget, options: LinkOptions = {}): Promise<LinkClient> {
    const connection = await Connection.open(target, timesOf(options));
    return new LinkClient(target, connection, options);
  }

  /**
   * Calls a method with one request and one answer.
   *
   * @throws StatusError as the server answered it.
   * @throws LINK_LOST, LINK_CLOSED, LINK_REFUSED, LINK_PROTOCOL_BROKEN, LINK_MESSAGE_TOO_LARGE,
   * LINK_DEADLINE_EXCEEDED, LINK_HEADER_INVALID; the signal's reason, or LINK_CANCELLED.
   */
  async unary(path: string, request: Uint8Array, options: LinkCallOptions = {}): Promise<LinkUnaryResult> {
    if (!this.#surroundings.connection.isUsable) await this.#reconnect();
    try {
      return await this.#unaryOnce(path, request, options);
    } catch (error) {
      if (!(error instanceof LinkRefused)) throw error;
      // The server says that it has not looked at the call, so a second try cannot do anything twice.
      if (!this.#surroundings.connection.isUsable) await this.#reconnect();
      return this.#unaryOnce(path, request, options);
    }
  }

  async #unaryOnce(path: string, request: Uint8Array, options: LinkCallOptions): Promise<LinkUnaryResult> {
    this.#checkSize(request);
    const block = this.#block(path, options);
    return new Promise<LinkUnaryResult>((resolve, reject) => {
      const { deadlineMs, signal, onCancellable } = options;
      const sink = new UnarySink(this.#address, { resolve, reject });
      const call = new LinkCall(block, this.#surroundings, { sink, deadlineMs, signal, onCancellable });
      endWithMessage(call.stream, request);
    });
  }

  /**
   * Calls a method of any kind. The call begins with the first `next()`; leaving the loop early cancels it.
   *
   * @throws as {@link unary}, after the messages that came before the error.
   */
  async *stream(
    path: string,
    requests: AsyncIterable<Uint8Array>,
    options: LinkCallOptions & AnswerListener = {},
  ): AsyncGenerator<Uint8Array> {
    if (!this.#surroundings.connection.isUsable) await this.#reconnect();
    const { deadlineMs, signal, onCancellable } = options;
    const sink = new StreamSink(options);
    const block = this.#block(path, options);
    const call = new LinkCall(block, this.#surroundings, { sink, deadlineMs, signal, onCancellable });
    sink.messages.source = call.stream;
    void sendRequests(call.stream, this.#checked(requests), call);
    try {
      for (;;) {
        const message = sink.messages.take() ?? (await sink.messages.receive());
        if (message === undefined) return;
        yield message;
      }
    } finally {
      // Changes nothing unless the consumer has left before the end.
      call.fail(abortError(undefined));
    }
  }

  /** @throws LINK_HEADER_INVALID, LINK_DEADLINE_EXCEEDED; the reason of a signal that is aborted already. */
  #block(path: string, { headers, deadlineMs, signal }: LinkCallOptions): Buffer {
    if (signal?.aborted === true) throw abortError(signal.reason);
    const fields: Record<string, string> = {};
    if (deadlineMs !== undefined) {
      const leftMs = deadlineMs - Date.now();
      if (leftMs <= 0) throw new LinkDeadlineExceeded({});
      fields['grpc-timeout'] = timeoutValue(leftMs);
    }
    if (headers !== undefined) addMetadata(fields, headers);
    return this.#methods.block(path, fields);
  }

  async *#checked(requests: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const request of requests) {
      this.#checkSize(request);
      yield request;
    }
  }

  #checkSize(request: Uint8Array): void {
    if (request.byteLength <= this.#limitBytes) return;
    throw new LinkMessageTooLarge({ size: String(request.byteLength), limit: String(this.#limitBytes) });
  }

  /**
   * Ends the link: at once, failing the calls that run, or gracefully after they have ended.
   * Resolves when the connection is gone.
   */
  async close(graceful = false): Promise<void> {
    this.#isClosed = true;
    const connections = [...this.#connections];
    for (const connection of connections) {
      if (graceful) connection.finish();
      else connection.destroy();
    }
    await Promise.all(connections.map(({ closed }) => closed));
    this.#end();
  }

  #end(): void {
    this.#isClosed = true;
    if (this.#connections.size === 0) this.#deadlines.clear();
    this.#resolveClosed();
  }

  #adopt(connection: Connection): CallSurroundings {
    this.#connections.add(connection);
    void connection.closed.then(() => this.#connections.delete(connection));
    connection.onRetired = () => {
      // Tried at once, so that whoever watches `closed` learns soon whether the server is still there.
      if (!this.#isClosed) this.#reconnect().catch(() => undefined);
    };
    return {
      connection,
      address: this.#address,
      limitBytes: this.#limitBytes,
      deadlines: this.#deadlines,
    };
  }

  /** @throws LINK_CLOSED */
  async #reconnect(): Promise<void> {
    if (this.#isClosed) throw new LinkClosed({ address: this.#address });
    this.#reconnecting ??= this.#connectAnew();
    await this.#reconnecting;
  }

  async #connectAnew(): Promise<void> {
    const previous = this.#surroundings.connection;
    try {
      const connection = await Connection.open(this.#target, this.#times);
      this.#surroundings = this.#adopt(connection);
      previous.finish();
      if (this.#isClosed) connection.destroy();
    } catch (cause) {
      this.#end();
      throw new LinkClosed({ address: this.#address }, { cause });
    } finally {
      this.#reconnecting = undefined;
    }
  }
}

function timesOf(options: LinkOptions): ConnectionTimes {
  return {
    connectTimeoutMs: options.connectTimeoutMs ?? CONNECT_TIMEOUT_MS,
    probeIntervalMs: options.probeIntervalMs ?? PROBE_INTERVAL_MS,
  };
}

/** Paths whose header blocks are kept; a link calls the methods of one server. */
const METHOD_LIMIT = 1_000;

/** Header blocks of requests. What all calls of a method share is encoded once. */
class MethodBlocks {
  readonly #isSecure: boolean;
  readonly #authority: string;
  readonly #blocks: Map<string, Buffer> = new Map();

  constructor(target: LinkTarget) {
    this.#isSecure = 'tls' in target && target.tls !== undefined;
    // Every language accepts this name on a socket, while an encoded path is refused by some.
    this.#authority = 'socketPath' in target ? 'localhost' : (target.authority ?? addressOf(target));
  }

  block(path: string, fields: Readonly<Record<string, string>>): Buffer {
    let shared = this.#blocks.get(path);
    if (shared === undefined) {
      shared = methodBlock(this.#isSecure, this.#authority, path);
      if (this.#blocks.size < METHOD_LIMIT) this.#blocks.set(path, shared);
    }
    const own = Object.entries(fields);
    return own.length === 0
      ? shared
      : Buffer.concat([shared, ...own.map(([name, value]) => encodeField(name, value))]);
  }
}
