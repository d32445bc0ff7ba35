import {
  constants,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import type { Server as GrpcJsServer } from '@grpc/grpc-js';
import type { Logger } from '../../sdk/index.ts';
import { type Indexed, IndexedSet, NOWHERE } from '../indexed-set.ts';

/** Limits of the gRPC listener. Times in milliseconds. */
export interface GrpcLimits {
  /** Open connections; default 10,000. Further ones are closed at once. */
  readonly maxConnections: number;
  /** Calls at once on one connection; default 1,000. A client waits with further ones. */
  readonly maxStreams: number;
  /** What one connection may hold of answers that its client does not read, in MiB; default 512. */
  readonly maxUnsentMib: number;
  /** The same for all connections together; default 1024. The largest answers are given up first. */
  readonly maxTotalUnsentMib: number;
  /** Time for the TLS handshake, and then for the first HTTP/2 frame; default 10 s. */
  readonly greetingTimeoutMs: number;
  /** Time after which a connection without calls is closed, also one that trickles the headers of one; default 10 min. */
  readonly idleTimeoutMs: number;
  /** How often a client must show that it is there, by the answer to a ping; default 60 s. */
  readonly probeMs: number;
  /** Time for the one request of a call to arrive; default 5 min as over HTTP. */
  readonly requestTimeoutMs: number;
  /** Time without any progress of an answer, beside what its size takes at 64 KiB a second; default 60 s. */
  readonly stallTimeoutMs: number;
  /** How often the last four are checked; default 5 s. */
  readonly checkIntervalMs: number;
}

const DEFAULTS: GrpcLimits = {
  maxConnections: 10_000,
  maxStreams: 1_000,
  maxUnsentMib: 512,
  maxTotalUnsentMib: 1_024,
  greetingTimeoutMs: 10_000,
  idleTimeoutMs: 600_000,
  probeMs: 60_000,
  requestTimeoutMs: 300_000,
  stallTimeoutMs: 60_000,
  checkIntervalMs: 5_000,
};

/** Slowest client that is waited for, in bytes a millisecond. */
const SLOWEST_BYTES_PER_MS = 64;

const MIB = 1024 * 1024;

/**
 * Calls that a client may cancel on one connection: at once, and each second from then on. More ends the connection, and
 * with it the calls of others that share it. Node's own figures, 1,000 and 33, are less than what a proxy in front of
 * chat clients needs. Node 20 does not know the setting and keeps its own.
 */
const RESETS = { streamResetBurst: 10_000, streamResetRate: 1_000 };

/** Fills in what is not set. */
export function withDefaultGrpcLimits(limits: Partial<GrpcLimits> = {}): GrpcLimits {
  return { ...DEFAULTS, ...limits };
}

/** A call on a connection. */
class OpenCall implements Indexed {
  index: number = NOWHERE;
  readonly stream: ServerHttp2Stream;
  /** Time since when its one request is waited for; `Infinity` where there may be more. */
  readonly startedMs: number;
  /** Bytes of its answer that have not moved since; `undefined` before the first look at it. */
  still: { readonly pendingBytes: number; readonly sinceMs: number } | undefined;
  #isWatched = false;

  constructor(stream: ServerHttp2Stream, startedMs: number) {
    this.stream = stream;
    this.startedMs = startedMs;
  }

  /** A steady answer has the same length waiting at each look, one message, but not the same message. */
  watchProgress(): void {
    if (this.#isWatched) return;
    this.#isWatched = true;
    this.stream.on('drain', () => (this.still = undefined));
  }
}

/** Where a stream keeps what is known of it: a map would cost more, with every call, see {@link IndexedSet}. */
const OPEN_CALL = Symbol('open call');

type GuardedStream = ServerHttp2Stream & { [OPEN_CALL]?: OpenCall };

/** What is known of a connection. */
interface Watched {
  /** Number of its last call, by which calls are seen that came and went between two looks. */
  lastCall: number;
  busyMs: number;
  askedMs: number;
  hasAnswered: boolean;
}

/** Parts of {@link ConnectionGuard}. */
export interface ConnectionGuardParts {
  readonly limits: GrpcLimits;
  readonly log: Logger;
  /** Whether calls of a path carry one request, which then has to arrive in time. */
  readonly hasOneRequest: (path: string) => boolean;
}

/**
 * Ends connections and calls that only take up room: clients that never greet, never send their request, or never read
 * their answer.
 *
 * @remarks grpc-js has no option for any of it and keeps its HTTP/2 servers and their options in private fields. This
 * only reads those and listens; should they go away, so does the guard, and its tests fail.
 */
export class ConnectionGuard {
  readonly #parts: ConnectionGuardParts;
  readonly #guarded: WeakSet<object> = new WeakSet();
  readonly #sessions: Map<ServerHttp2Session, Watched> = new Map();
  readonly #open: IndexedSet<OpenCall> = new IndexedSet();
  readonly #timer: NodeJS.Timeout;
  /** Goes on with each look only: time in which this process was kept from working is not held against clients. */
  #nowMs = 0;

  constructor(parts: ConnectionGuardParts) {
    this.#parts = parts;
    this.#timer = setInterval(() => this.#sweep(), parts.limits.checkIntervalMs).unref();
  }

  /** Sets what ports that are bound later are held to; sockets of plugins are bound before. */
  prepare(server: GrpcJsServer): void {
    const options: unknown = Reflect.get(server, 'commonServerOptions');
    if (typeof options !== 'object' || options === null) return;
    const { maxStreams, maxUnsentMib, greetingTimeoutMs } = this.#parts.limits;
    Object.assign(options, RESETS, {
      settings: { maxConcurrentStreams: maxStreams },
      maxSessionMemory: maxUnsentMib,
      handshakeTimeout: greetingTimeoutMs,
    });
  }

  /** Watches the ports that are bound. */
  guard(server: GrpcJsServer): void {
    const servers: unknown = Reflect.get(server, 'http2Servers');
    if (!(servers instanceof Map)) return;
    for (const http2Server of servers.keys() as Iterable<Http2Server>) {
      const isPort = typeof http2Server.address() === 'object';
      if (!isPort || this.#guarded.has(http2Server)) continue;
      this.#guarded.add(http2Server);
      this.#watch(http2Server);
    }
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #watch(server: Http2Server): void {
    const { limits, hasOneRequest } = this.#parts;
    const open = this.#open;
    server.maxConnections = limits.maxConnections;
    server.on('session', (session: ServerHttp2Session) => {
      this.#awaitGreeting(session);
      const nowMs = this.#nowMs;
      this.#sessions.set(session, { lastCall: 0, busyMs: nowMs, askedMs: nowMs, hasAnswered: true });
      session.once('close', () => this.#sessions.delete(session));
    });
    // One function for all: this runs for every call.
    function forget(this: GuardedStream): void {
      if (this[OPEN_CALL] !== undefined) open.delete(this[OPEN_CALL]);
    }
    server.prependListener('stream', (stream: GuardedStream, headers: IncomingHttpHeaders) => {
      const call = new OpenCall(stream, hasOneRequest(String(headers[':path'])) ? this.#nowMs : Infinity);
      stream[OPEN_CALL] = call;
      open.add(call);
      stream.on('close', forget);
    });
  }

  #awaitGreeting(session: ServerHttp2Session): void {
    const timer = setTimeout(() => session.destroy(), this.#parts.limits.greetingTimeoutMs).unref();
    const done = (): void => clearTimeout(timer);
    session.once('remoteSettings', done);
    session.once('close', done);
  }

  #sweep(): void {
    this.#nowMs += this.#parts.limits.checkIntervalMs;
    const busy = new Set<unknown>();
    let totalBytes = 0;
    for (const call of this.#open.values()) {
      busy.add(call.stream.session);
      const problem = this.#problemOf(call);
      if (problem === undefined) totalBytes += call.stream.writableLength;
      else this.#end(call, problem);
    }
    this.#freeRoom(totalBytes - this.#parts.limits.maxTotalUnsentMib * MIB);
    for (const [session, watched] of this.#sessions) this.#look(session, watched, busy.has(session));
  }

  #look(session: ServerHttp2Session, watched: Watched, isBusy: boolean): void {
    if (session.destroyed) return;
    const { idleTimeoutMs, probeMs } = this.#parts.limits;
    const lastCall = session.state.lastProcStreamID ?? 0;
    if (isBusy || lastCall !== watched.lastCall) watched.busyMs = this.#nowMs;
    watched.lastCall = lastCall;
    if (this.#nowMs - watched.busyMs > idleTimeoutMs) session.close();
    if (this.#nowMs - watched.askedMs < probeMs || session.destroyed) return;
    // Node 20 keeps a connection after an error of its client for ever, with the calls on it, and does not tell.
    if (!watched.hasAnswered) return session.destroy();
    watched.askedMs = this.#nowMs;
    watched.hasAnswered = false;
    session.ping((error: Error | null) => (watched.hasAnswered = error === null));
  }

  #problemOf(call: OpenCall): string | undefined {
    const { requestTimeoutMs, stallTimeoutMs } = this.#parts.limits;
    const { stream, startedMs, still } = call;
    const nowMs = this.#nowMs;
    if (!stream.readableEnded && nowMs - startedMs > requestTimeoutMs) return 'its request did not arrive';
    const pendingBytes = stream.writableLength;
    if (pendingBytes === 0 || still?.pendingBytes !== pendingBytes) {
      call.still = { pendingBytes, sinceMs: nowMs };
      if (pendingBytes > 0) call.watchProgress();
      return undefined;
    }
    const limitMs = stallTimeoutMs + pendingBytes / SLOWEST_BYTES_PER_MS;
    return nowMs - still.sinceMs > limitMs ? 'its answer is not read' : undefined;
  }

  #freeRoom(overBytes: number): void {
    if (overBytes <= 0) return;
    const largestFirst = this.#open
      .values()
      .toSorted((a, b) => b.stream.writableLength - a.stream.writableLength);
    let freedBytes = 0;
    for (const call of largestFirst) {
      if (freedBytes >= overBytes) return;
      freedBytes += call.stream.writableLength;
      this.#end(call, 'answers that nobody reads take too much memory');
    }
  }

  #end(call: OpenCall, problem: string): void {
    const { stream } = call;
    const peer = stream.session?.socket?.remoteAddress;
    this.#parts.log.warn('a call was ended', { problem, peer, pendingBytes: stream.writableLength });
    this.#open.delete(call);
    stream.close(constants.NGHTTP2_CANCEL);
  }
}
