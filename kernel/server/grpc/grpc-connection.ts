import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { HeaderBlock } from '../../wire/http2/protocol.ts';
import {
  type ServerListener,
  ServerSession,
  type ServerSessionLimits,
} from '../../wire/http2/server-session.ts';
import type { Http2Stream } from '../../wire/http2/stream.ts';
import { OVERLOADED } from './refusals.ts';
import { readHead, type RequestHead } from './request-head.ts';
import type { CallPeer, CallSurroundings } from './call-surroundings.ts';
import { ServerCall } from './server-call.ts';

/** Input of {@link GrpcConnection}. */
export interface GrpcConnectionParts {
  readonly socket: Socket;
  readonly limits: ServerSessionLimits;
  readonly surroundings: CallSurroundings;
  readonly onGone: (connection: GrpcConnection) => void;
}

/** A call that has waited for more than one part of that many of its time before it is begun will hardly end in time. */
const LATE_SHARE = 4;

/** One connection of a client, and the calls on it. */
export class GrpcConnection implements ServerListener, CallPeer {
  readonly address: string;
  readonly session: ServerSession;
  /** Whether it has said yet that it speaks HTTP/2. */
  isGreeted = false;
  /** Whether it has answered the last ping. */
  hasAnswered = true;
  readonly #parts: GrpcConnectionParts;
  #certificateNames: string | undefined;
  /** The last call's head: mostly the next one's too. */
  #head: RequestHead | undefined;

  constructor(parts: GrpcConnectionParts) {
    this.#parts = parts;
    const { socket, limits } = parts;
    this.address = `${socket.remoteAddress ?? ''}:${socket.remotePort ?? ''}`;
    if (socket instanceof TLSSocket && socket.authorized) {
      this.#certificateNames = socket.getPeerCertificate().subjectaltname;
    }
    this.session = new ServerSession(socket, this, limits);
  }

  certificateNames(): string | undefined {
    return this.#certificateNames;
  }

  get surroundings(): CallSurroundings {
    return this.#parts.surroundings;
  }

  get isFull(): boolean {
    return this.session.isFull;
  }

  /** Calls that have not ended. */
  get calls(): ServerCall[] {
    return this.session.open.map(({ listener }) => listener).filter((call) => call instanceof ServerCall);
  }

  ping(): void {
    this.hasAnswered = false;
    this.session.ping();
  }

  onGreeted(): void {
    this.isGreeted = true;
  }

  onPong(): void {
    this.hasAnswered = true;
  }

  /** Under more calls than can be served, those that are begun must still have time to end. */
  refusal(block: HeaderBlock): Buffer | undefined {
    const { leftMs = Infinity } = this.#headOf(block);
    const { queue, onOverload } = this.surroundings;
    // Not the other way round: a time that cannot be read is no number, and refused as such later.
    const isLate = queue !== undefined && leftMs !== Infinity && queue.waitMs() * LATE_SHARE > leftMs;
    if (!isLate) return undefined;
    onOverload();
    return OVERLOADED;
  }

  onRequest(stream: Http2Stream, block: HeaderBlock): void {
    // It makes itself the listener of the stream.
    void new ServerCall(stream, this.#headOf(block), this);
  }

  #headOf(block: HeaderBlock): RequestHead {
    if (this.#head?.block !== block) this.#head = readHead(block);
    return this.#head;
  }

  onGone(): void {
    this.#parts.onGone(this);
  }
}
