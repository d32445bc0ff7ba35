import type { Socket } from 'node:net';
import { ControlWriter, WINDOW_BYTES } from './control-writer.ts';
import { type FrameListener, FrameParser } from './frame-parser.ts';
import { FrameWriter } from './frame-writer.ts';
import { PeerSettings } from './peer-settings.ts';
import {
  DEFAULT_WINDOW_BYTES,
  ErrorCode,
  Flag,
  FrameType,
  type HeaderBlock,
  Http2Fault,
  LIMIT_31_BITS,
} from './protocol.ts';
import { Http2Stream, type StreamListener, type StreamOwner } from './stream.ts';

/** What a client sends first, RFC 9113 section 3.4. */
const PREFACE: Buffer = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');

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

/**
 * The client's half of one HTTP/2 connection (RFC 9113), no more than gRPC needs: no push, no priorities.
 *
 * @remarks Node's own client costs the kernel as much for each call as all the rest of it.
 */
export class Http2Session implements FrameListener, StreamOwner {
  readonly #socket: Socket;
  readonly #listener: SessionListener;
  readonly #writer: FrameWriter;
  readonly #control: ControlWriter;
  readonly #peer: PeerSettings = new PeerSettings();
  readonly #streams: Map<number, Http2Stream> = new Map();
  /** Streams that wait until the other side takes one more, with their header blocks. */
  readonly #waiting: Map<Http2Stream, Buffer> = new Map();
  /** Streams with data that wait for the connection's window or the socket. */
  readonly #blocked: Set<Http2Stream> = new Set();
  #nextId = 1;
  #sendWindowBytes = DEFAULT_WINDOW_BYTES;
  #isRetired = false;
  #isGone = false;

  constructor(socket: Socket, listener: SessionListener) {
    this.#socket = socket;
    this.#listener = listener;
    this.#writer = new FrameWriter(socket);
    this.#control = new ControlWriter(this.#writer);
    const parser = new FrameParser(this);
    socket.on('data', (chunk: Buffer) => {
      try {
        if (!this.#isGone) parser.push(chunk);
      } catch (error) {
        this.#fail(error as Error);
      }
    });
    socket.on('drain', () => this.#pumpBlocked());
    socket.on('error', (error) => this.#fail(error));
    socket.on('close', () => this.#fail(undefined));
    socket.write(PREFACE);
    this.#control.greet();
  }

  /** True when the connection is gone. */
  get isGone(): boolean {
    return this.#isGone;
  }

  /** Sends our settings, also as a sign of life: every peer must acknowledge them. */
  sendSettings(): void {
    this.#control.settings();
  }

  /** Begins a stream, now or when the other side takes one more. */
  request(block: Buffer, listener: StreamListener): Http2Stream {
    const stream = new Http2Stream(this, listener, WINDOW_BYTES);
    if (this.#isGone) queueMicrotask(() => stream.break(ErrorCode.refusedStream));
    else if (this.#hasRoom) this.#begin(stream, block);
    else this.#waiting.set(stream, block);
    return stream;
  }

  get #hasRoom(): boolean {
    return this.#streams.size < this.#peer.streams && this.#nextId <= LIMIT_31_BITS;
  }

  #begin(stream: Http2Stream, block: Buffer): void {
    stream.id = this.#nextId;
    stream.sendWindowBytes = this.#peer.windowBytes;
    this.#nextId += 2;
    this.#streams.set(stream.id, stream);
    this.#writer.headers(stream.id, block);
    if (this.#nextId > LIMIT_31_BITS) this.#retire();
  }

  /** Takes no new streams and ends the connection once the last one has ended. */
  finish(): void {
    this.#retire();
    this.#endIfDone();
  }

  /** Ends the connection and breaks its streams. */
  destroy(): void {
    this.#fail(new Http2Fault(ErrorCode.noError, 'the connection was closed from this side'));
  }

  #retire(): void {
    if (this.#isRetired) return;
    this.#isRetired = true;
    this.#listener.onRetired();
  }

  #endIfDone(): void {
    if (this.#isRetired && this.#streams.size === 0 && this.#waiting.size === 0) this.destroy();
  }

  #fail(error: Error | undefined): void {
    if (this.#isGone) return;
    this.#isGone = true;
    if (error instanceof Http2Fault) this.#control.goAway(error.code);
    this.#socket.destroy();
    this.#retire();
    this.#breakAll(undefined);
    this.#listener.onGone(error);
  }

  /** Breaks the streams above an id, and those that wait for one: the other side has never heard of them. */
  #breakAll(code: number | undefined, aboveId = 0): void {
    const begun = [...this.#streams.values()].filter(({ id }) => id > aboveId);
    const waiting = [...this.#waiting.keys()];
    for (const stream of [...begun, ...waiting]) this.#forget(stream);
    for (const stream of begun) stream.break(code);
    for (const stream of waiting) stream.break(ErrorCode.refusedStream);
  }

  onHeaders(streamId: number, block: HeaderBlock, isLast: boolean): void {
    const stream = this.#find(streamId);
    stream?.listener.onHeaders(block);
    if (isLast) stream?.receiveEnd();
  }

  onData(streamId: number, part: Buffer, isLast: boolean): void {
    const stream = this.#find(streamId);
    // One slow reader must not stop the others: the connection's window opens whatever its streams do.
    this.#control.count(part.length);
    stream?.receive(part);
    if (isLast) stream?.receiveEnd();
  }

  onPadding(streamId: number, bytes: number): void {
    this.#control.count(bytes);
    this.#find(streamId)?.count(bytes);
  }

  onReset(streamId: number, code: number): void {
    const stream = this.#find(streamId);
    if (stream === undefined) return;
    this.#forget(stream);
    stream.break(code);
    this.#goOn();
  }

  onSettings(payload: Buffer): void {
    const beforeBytes = this.#peer.windowBytes;
    this.#peer.update(payload);
    const moreBytes = this.#peer.windowBytes - beforeBytes;
    this.#control.acknowledge(FrameType.settings);
    for (const stream of this.#streams.values()) stream.widen(moreBytes);
    this.#goOn();
    this.#listener.onSettings();
  }

  onAcknowledged(): void {
    this.#listener.onAcknowledged();
  }

  onPing(payload: Buffer): void {
    this.#control.acknowledge(FrameType.ping, payload);
  }

  /** The other side takes no new streams, and has not looked at those above the last one. */
  onGoAway(lastId: number): void {
    this.#retire();
    this.#breakAll(ErrorCode.refusedStream, lastId);
    this.#endIfDone();
  }

  onWindow(streamId: number, bytes: number): void {
    if (streamId !== 0) {
      this.#find(streamId)?.widen(bytes);
      return;
    }
    this.#sendWindowBytes += bytes;
    if (bytes === 0 || this.#sendWindowBytes > LIMIT_31_BITS) {
      throw new Http2Fault(ErrorCode.flowControlError, 'it opens a window too far, or not at all');
    }
    this.#pumpBlocked();
  }

  /** The stream, unless it has ended already. @throws Http2Fault for one that never was. */
  #find(streamId: number): Http2Stream | undefined {
    const stream = this.#streams.get(streamId);
    if (stream === undefined && (streamId >= this.#nextId || streamId % 2 === 0)) {
      throw new Http2Fault(ErrorCode.protocolError, 'a frame belongs to a stream that never was');
    }
    return stream;
  }

  get sendableBytes(): number {
    return this.#writer.isCongested ? 0 : Math.min(this.#sendWindowBytes, this.#peer.frameBytes);
  }

  sendData({ id }: Http2Stream, piece: Uint8Array, isLast: boolean): void {
    this.#sendWindowBytes -= piece.byteLength;
    const flags = isLast ? Flag.endStream : 0;
    this.#writer.frame({ type: FrameType.data, flags, streamId: id }, piece);
  }

  awaitRoom(stream: Http2Stream): void {
    this.#blocked.add(stream);
  }

  #pumpBlocked(): void {
    const streams = [...this.#blocked];
    this.#blocked.clear();
    for (const stream of streams) stream.pump();
    // Whoever was first goes last, so that all get their share.
    const [first] = streams;
    if (first !== undefined && this.#blocked.delete(first)) this.#blocked.add(first);
  }

  credit({ id }: Http2Stream, bytes: number): void {
    this.#control.credit(id, bytes);
  }

  reset(stream: Http2Stream, code: number): void {
    // One that waits for its turn is not known to the other side.
    if (stream.id !== 0 && !this.#isGone) this.#control.reset(stream.id, code);
    this.finished(stream);
  }

  finished(stream: Http2Stream): void {
    this.#forget(stream);
    this.#goOn();
  }

  #forget(stream: Http2Stream): void {
    this.#streams.delete(stream.id);
    this.#waiting.delete(stream);
    this.#blocked.delete(stream);
  }

  /** There may be room for a stream that waits, or nothing left to wait for. */
  #goOn(): void {
    for (const [stream, block] of this.#waiting) {
      if (!this.#hasRoom || this.#isGone) break;
      this.#waiting.delete(stream);
      this.#begin(stream, block);
      stream.pump();
    }
    this.#endIfDone();
  }
}
