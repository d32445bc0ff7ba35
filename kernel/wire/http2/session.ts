import type { Socket } from 'node:net';
import { ControlWriter, WINDOW_BYTES } from './control-writer.ts';
import { type FrameListener, FrameParser } from './frame-parser.ts';
import { FrameWriter } from './frame-writer.ts';
import { PeerSettings, type Settings } from './peer-settings.ts';
import {
  DEFAULT_WINDOW_BYTES,
  ErrorCode,
  Flag,
  FrameType,
  type HeaderBlock,
  Http2Fault,
  LIMIT_31_BITS,
  type MalformedHeaders,
} from './protocol.ts';
import { StreamTable } from './stream-table.ts';
import { Http2Stream, type StreamListener, type StreamOwner } from './stream.ts';

/**
 * What both sides of an HTTP/2 connection do (RFC 9113), no more than gRPC needs: no push, no priorities.
 *
 * @remarks Node's own sessions cost as much for each call as all the rest of it: an event emitter, a duplex stream and an
 * async resource each.
 */
export abstract class Http2Session implements FrameListener, StreamOwner {
  protected readonly socket: Socket;
  protected readonly writer: FrameWriter;
  protected readonly control: ControlWriter;
  protected readonly peer: PeerSettings = new PeerSettings();
  protected readonly streams: StreamTable<Http2Stream> = new StreamTable();
  unsentBytes = 0;
  readonly #parser: FrameParser;
  /** Streams with data that wait for the connection's window or the socket. */
  readonly #blocked: Set<Http2Stream> = new Set();
  #sendWindowBytes = DEFAULT_WINDOW_BYTES;
  #isGone = false;

  /** @param settings - What only this side says of itself. */
  protected constructor(socket: Socket, settings: Settings) {
    this.socket = socket;
    this.writer = new FrameWriter(socket);
    this.control = new ControlWriter(this.writer, settings);
    this.#parser = new FrameParser(this);
    socket.on('data', (chunk: Buffer) => {
      try {
        if (!this.#isGone) this.take(chunk);
      } catch (error) {
        this.fail(error as Error);
      }
    });
    socket.on('drain', () => this.#pumpBlocked());
    socket.on('error', (error) => this.fail(error));
    socket.on('close', () => this.fail(undefined));
  }

  /** True when the connection is gone. */
  get isGone(): boolean {
    return this.#isGone;
  }

  /** Takes what the socket brings. @throws Http2Fault */
  protected take(chunk: Buffer): void {
    this.#parser.push(chunk);
  }

  protected createStream(listener: StreamListener): Http2Stream {
    return new Http2Stream(this, listener, WINDOW_BYTES);
  }

  protected begin(stream: Http2Stream, id: number): void {
    stream.id = id;
    stream.sendWindowBytes = this.peer.windowBytes;
    this.streams.add(stream);
  }

  /** Ends the connection and breaks its streams. */
  destroy(): void {
    this.fail(new Http2Fault(ErrorCode.noError, 'the connection was closed from this side'));
  }

  protected fail(error: Error | undefined): void {
    if (this.#isGone) return;
    this.#isGone = true;
    if (error instanceof Http2Fault) this.control.goAway(error.code);
    this.socket.destroy();
    this.ended(error);
  }

  /** The connection is gone; breaks what is left of it. */
  protected abstract ended(error: Error | undefined): void;

  /** Breaks streams that the other side has no part in any more. */
  protected breakAll(streams: readonly Http2Stream[], code: number | undefined): void {
    for (const stream of streams) this.forget(stream);
    for (const stream of streams) stream.break(code);
  }

  abstract onHeaders(streamId: number, block: HeaderBlock, isLast: boolean): void;

  abstract onMalformed(streamId: number, fault: MalformedHeaders): void;

  onData(streamId: number, part: Buffer, isLast: boolean): void {
    const stream = this.find(streamId);
    // One slow reader must not stop the others: the connection's window opens whatever its streams do.
    this.control.count(part.length);
    if (stream === undefined) return;
    if (stream.isReceived) {
      stream.fail(ErrorCode.streamClosed);
      return;
    }
    stream.receive(part);
    if (isLast) stream.receiveEnd();
  }

  onPadding(streamId: number, bytes: number): void {
    this.control.count(bytes);
    this.find(streamId)?.count(bytes);
  }

  onReset(streamId: number, code: number): void {
    const stream = this.find(streamId);
    if (stream === undefined) return;
    this.forget(stream);
    stream.break(code);
    this.goOn();
  }

  onSettings(payload: Buffer): void {
    const beforeBytes = this.peer.windowBytes;
    this.peer.update(payload);
    const moreBytes = this.peer.windowBytes - beforeBytes;
    this.control.acknowledge(FrameType.settings);
    if (moreBytes !== 0) for (const stream of this.streams.values()) stream.widen(moreBytes);
    this.goOn();
  }

  abstract onAcknowledged(): void;

  onPing(payload: Buffer): void {
    this.control.acknowledge(FrameType.ping, payload);
  }

  abstract onPong(): void;

  abstract onGoAway(lastId: number): void;

  onWindow(streamId: number, bytes: number): void {
    if (streamId !== 0) {
      this.#widen(this.find(streamId), bytes);
      return;
    }
    this.#sendWindowBytes += bytes;
    if (bytes === 0 || this.#sendWindowBytes > LIMIT_31_BITS) {
      throw new Http2Fault(ErrorCode.flowControlError, 'it opens a window too far, or not at all');
    }
    this.#pumpBlocked();
  }

  #widen(stream: Http2Stream | undefined, bytes: number): void {
    if (stream === undefined) return;
    if (bytes === 0) stream.fail(ErrorCode.protocolError);
    else if (stream.sendWindowBytes + bytes > LIMIT_31_BITS) stream.fail(ErrorCode.flowControlError);
    else stream.widen(bytes);
  }

  /** The stream, unless it has ended already. @throws Http2Fault for one that never was. */
  protected find(streamId: number): Http2Stream | undefined {
    const stream = this.streams.get(streamId);
    if (stream === undefined && !this.wasBegun(streamId)) {
      throw new Http2Fault(ErrorCode.protocolError, 'a frame belongs to a stream that never was');
    }
    return stream;
  }

  /** Whether there was ever a stream with that id. */
  protected abstract wasBegun(streamId: number): boolean;

  get sendableBytes(): number {
    return this.writer.isCongested ? 0 : Math.min(this.#sendWindowBytes, this.peer.frameBytes);
  }

  sendData({ id }: Http2Stream, piece: Uint8Array, isLast: boolean): void {
    this.#sendWindowBytes -= piece.byteLength;
    const flags = isLast ? Flag.endStream : 0;
    this.writer.frame({ type: FrameType.data, flags, streamId: id }, piece);
  }

  sendHeaders({ id }: Http2Stream, block: Buffer, isLast: boolean): void {
    this.writer.headers(id, block, isLast);
  }

  awaitRoom(stream: Http2Stream): void {
    this.#blocked.add(stream);
  }

  #pumpBlocked(): void {
    if (this.#blocked.size === 0) return;
    const streams = [...this.#blocked];
    this.#blocked.clear();
    for (const stream of streams) stream.pump();
    // Whoever was first goes last, so that all get their share.
    const [first] = streams;
    if (first !== undefined && this.#blocked.delete(first)) this.#blocked.add(first);
  }

  credit({ id }: Http2Stream, bytes: number): void {
    this.control.credit(id, bytes);
  }

  reset(stream: Http2Stream, code: number): void {
    // One that waits for its turn is not known to the other side.
    if (stream.id !== 0 && !this.#isGone) this.control.reset(stream.id, code);
    this.finished(stream);
  }

  failed(stream: Http2Stream, code: number): void {
    this.reset(stream, code);
  }

  abstract sent(stream: Http2Stream): void;

  finished(stream: Http2Stream): void {
    this.forget(stream);
    this.goOn();
  }

  protected forget(stream: Http2Stream): void {
    this.streams.delete(stream);
    this.#blocked.delete(stream);
  }

  /** A stream has ended, or the other side takes more: there may be something to do. */
  protected abstract goOn(): void;
}
