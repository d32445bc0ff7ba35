import type { Socket } from 'node:net';
import {
  ErrorCode,
  type HeaderBlock,
  LIMIT_31_BITS,
  type MalformedHeaders,
  PREFACE,
  Setting,
} from './protocol.ts';
import { Http2Session } from './session.ts';
import type { Http2Stream, StreamListener } from './stream.ts';

/** Who learns what becomes of a session. */
export interface SessionListener {
  /** The other side has told its settings, maybe not for the first time. */
  onSettings(): void;
  /** It has acknowledged ours. */
  onAcknowledged(): void;
  /** No new streams from now on: the other side said so, or the connection is gone. */
  onRetired(): void;
  /** The connection is gone and no stream is left; the error tells why, where there was one. */
  onGone(error: Error | undefined): void;
}

/** The client's half of one HTTP/2 connection. */
export class ClientSession extends Http2Session {
  readonly #listener: SessionListener;
  /** Streams that wait until the other side takes one more, with their header blocks. */
  readonly #waiting: Map<Http2Stream, Buffer> = new Map();
  #nextId = 1;
  #isRetired = false;

  constructor(socket: Socket, listener: SessionListener) {
    super(socket, [[Setting.enablePush, 0]]);
    this.#listener = listener;
    socket.write(PREFACE);
    this.control.greet();
  }

  /** Sends our settings, also as a sign of life: every peer must acknowledge them. */
  sendSettings(): void {
    this.control.settings();
  }

  /** Begins a stream, now or when the other side takes one more. */
  request(block: Buffer, listener: StreamListener): Http2Stream {
    const stream = this.createStream(listener);
    if (this.isGone) queueMicrotask(() => stream.break(ErrorCode.refusedStream));
    else if (this.#hasRoom) this.#begin(stream, block);
    else this.#waiting.set(stream, block);
    return stream;
  }

  get #hasRoom(): boolean {
    return this.streams.size < this.peer.streams && this.#nextId <= LIMIT_31_BITS;
  }

  #begin(stream: Http2Stream, block: Buffer): void {
    this.begin(stream, this.#nextId);
    this.#nextId += 2;
    this.writer.headers(stream.id, block);
    if (this.#nextId > LIMIT_31_BITS) this.#retire();
  }

  /** Takes no new streams and ends the connection once the last one has ended. */
  finish(): void {
    this.#retire();
    this.#endIfDone();
  }

  #retire(): void {
    if (this.#isRetired) return;
    this.#isRetired = true;
    this.#listener.onRetired();
  }

  #endIfDone(): void {
    if (this.#isRetired && this.streams.size === 0 && this.#waiting.size === 0) this.destroy();
  }

  protected ended(error: Error | undefined): void {
    this.#retire();
    this.#breakAbove(0, undefined);
    this.#listener.onGone(error);
  }

  /** Breaks the streams above an id, and those that wait for one: the other side has never heard of them. */
  #breakAbove(lastId: number, code: number | undefined): void {
    const waiting = [...this.#waiting.keys()];
    for (const stream of waiting) this.forget(stream);
    this.breakAll(
      this.streams.values().filter(({ id }) => id > lastId),
      code,
    );
    for (const stream of waiting) stream.break(ErrorCode.refusedStream);
  }

  onHeaders(streamId: number, block: HeaderBlock, isLast: boolean): void {
    const stream = this.find(streamId);
    stream?.listener.onHeaders(block);
    if (isLast) stream?.receiveEnd();
  }

  onMalformed(_streamId: number, fault: MalformedHeaders): void {
    throw fault;
  }

  override onSettings(payload: Buffer): void {
    super.onSettings(payload);
    this.#listener.onSettings();
  }

  onAcknowledged(): void {
    this.#listener.onAcknowledged();
  }

  /** Nothing is asked by pings: gRPC servers punish them on a connection that is quiet. */
  onPong(): void {}

  /** The other side takes no new streams, and has not looked at those above the last one. */
  onGoAway(lastId: number): void {
    this.#retire();
    this.#breakAbove(lastId, ErrorCode.refusedStream);
    this.#endIfDone();
  }

  protected wasBegun(streamId: number): boolean {
    return streamId < this.#nextId && streamId % 2 === 1;
  }

  /** An answer may take longer than its request. */
  sent(): void {}

  protected override forget(stream: Http2Stream): void {
    super.forget(stream);
    this.#waiting.delete(stream);
  }

  /** There may be room for a stream that waits, or nothing left to wait for. */
  protected goOn(): void {
    for (const [stream, block] of this.#waiting) {
      if (!this.#hasRoom || this.isGone) break;
      this.#waiting.delete(stream);
      this.#begin(stream, block);
      stream.pump();
    }
    this.#endIfDone();
  }
}
