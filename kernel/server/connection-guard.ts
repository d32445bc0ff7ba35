import type { Logger } from '../../sdk/index.ts';
import type { GrpcConnection } from './grpc/grpc-connection.ts';
import type { ServerCall } from './grpc/server-call.ts';
import { ErrorCode } from '../wire/http2/protocol.ts';

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
  /** What all connections together may hold of requests that are not complete, in MiB; default 1024. As above. */
  readonly maxTotalRequestMib: number;
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
  maxTotalRequestMib: 1_024,
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

/** Fills in what is not set. */
export function withDefaultGrpcLimits(limits: Partial<GrpcLimits> = {}): GrpcLimits {
  return { ...DEFAULTS, ...limits };
}

/** A call that has not ended. */
interface OpenCall {
  readonly connection: GrpcConnection;
  readonly call: ServerCall;
}

/** What calls may hold of the memory together. */
interface Room {
  readonly limitMib: number;
  readonly bytesOf: (call: ServerCall) => number;
  readonly problem: string;
}

/** What was seen of a call. */
interface WatchedCall {
  readonly sinceMs: number;
  readonly sentBytes: number;
  /** Time since when nothing of its answer has moved. */
  readonly stillMs: number;
}

/** What was seen of a connection. */
interface WatchedConnection {
  /** Number of its last call, by which calls are seen that came and went between two looks. */
  lastCall: number;
  busyMs: number;
  askedMs: number;
  /** Ends a connection that does not greet. */
  readonly greeting: NodeJS.Timeout;
}

/**
 * Ends connections and calls that only take up room: clients that never greet, never send their request, or never read
 * their answer.
 *
 * @remarks Nothing is noted while calls come and go: it looks at what there is every few seconds.
 */
export class ConnectionGuard {
  readonly #limits: GrpcLimits;
  readonly #log: Logger;
  readonly #connections: Map<GrpcConnection, WatchedConnection> = new Map();
  #calls: Map<ServerCall, WatchedCall> = new Map();
  readonly #timer: NodeJS.Timeout;
  /** Goes on with each look only: time in which this process was kept from working is not held against clients. */
  #nowMs = 0;

  constructor(limits: GrpcLimits, log: Logger) {
    this.#limits = limits;
    this.#log = log;
    this.#timer = setInterval(() => this.#sweep(), limits.checkIntervalMs).unref();
  }

  close(): void {
    clearInterval(this.#timer);
  }

  watch(connection: GrpcConnection): void {
    const nowMs = this.#nowMs;
    const greeting = setTimeout(() => {
      if (!connection.isGreeted) connection.session.destroy();
    }, this.#limits.greetingTimeoutMs).unref();
    this.#connections.set(connection, { lastCall: 0, busyMs: nowMs, askedMs: nowMs, greeting });
  }

  forget(connection: GrpcConnection): void {
    clearTimeout(this.#connections.get(connection)?.greeting);
    this.#connections.delete(connection);
  }

  #sweep(): void {
    this.#nowMs += this.#limits.checkIntervalMs;
    const open = [...this.#connections.keys()].flatMap((connection) =>
      connection.calls.map((call): OpenCall => ({ connection, call })),
    );
    const watched = new Map<ServerCall, WatchedCall>();
    for (const one of open) this.#lookAtCall(one, watched);
    this.#calls = watched;
    for (const [connection, seen] of this.#connections) this.#lookAtConnection(connection, seen);
    const { maxTotalUnsentMib, maxTotalRequestMib } = this.#limits;
    this.#freeRoom(open, {
      limitMib: maxTotalUnsentMib,
      bytesOf: ({ stream }) => stream.queuedBytes,
      problem: 'answers that nobody reads take too much memory',
    });
    this.#freeRoom(open, {
      limitMib: maxTotalRequestMib,
      bytesOf: ({ pendingRequestBytes }) => pendingRequestBytes,
      problem: 'requests that are not complete take too much memory',
    });
  }

  #lookAtCall(one: OpenCall, watched: Map<ServerCall, WatchedCall>): void {
    const { call } = one;
    const { requestTimeoutMs, stallTimeoutMs } = this.#limits;
    const nowMs = this.#nowMs;
    const { queuedBytes, sentBytes } = call.stream;
    const before = this.#calls.get(call) ?? { sinceMs: nowMs, sentBytes: -1, stillMs: nowMs };
    const isStill = queuedBytes > 0 && before.sentBytes === sentBytes;
    const seen = { sinceMs: before.sinceMs, sentBytes, stillMs: isStill ? before.stillMs : nowMs };
    if (call.awaitsRequest && nowMs - seen.sinceMs > requestTimeoutMs) {
      this.#end(one, 'its request did not arrive');
    } else if (nowMs - seen.stillMs > stallTimeoutMs + queuedBytes / SLOWEST_BYTES_PER_MS) {
      this.#end(one, 'its answer is not read');
    } else {
      watched.set(call, seen);
    }
  }

  #lookAtConnection(connection: GrpcConnection, watched: WatchedConnection): void {
    const { idleTimeoutMs, probeMs } = this.#limits;
    const { session } = connection;
    const nowMs = this.#nowMs;
    if (!session.isIdle || session.lastId !== watched.lastCall) watched.busyMs = nowMs;
    watched.lastCall = session.lastId;
    if (nowMs - watched.busyMs > idleTimeoutMs) session.finish();
    if (nowMs - watched.askedMs < probeMs || session.isGone) return;
    // Its machine may be gone without a word.
    if (!connection.hasAnswered) return session.destroy();
    watched.askedMs = nowMs;
    connection.ping();
  }

  /** Ends the calls that hold the most until all together hold no more than they may. */
  #freeRoom(open: readonly OpenCall[], { limitMib, bytesOf, problem }: Room): void {
    let overBytes = open.reduce((sum, { call }) => sum + bytesOf(call), 0) - limitMib * MIB;
    if (overBytes <= 0) return;
    for (const one of open.toSorted((a, b) => bytesOf(b.call) - bytesOf(a.call))) {
      if (overBytes <= 0) return;
      overBytes -= bytesOf(one.call);
      this.#end(one, problem);
    }
  }

  #end({ connection: { address }, call: { stream } }: OpenCall, problem: string): void {
    const peer = address.slice(0, address.lastIndexOf(':'));
    this.#log.warn('a call was ended', { problem, peer, pendingBytes: stream.queuedBytes });
    stream.fail(ErrorCode.cancel);
  }
}
