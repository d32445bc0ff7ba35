import { type FrameHead, FrameReader, type FrameSink } from './frame-reader.ts';
import { HEADER_LIMIT_BYTES, HeaderDecoder } from './header-decoder.ts';
import {
  ErrorCode,
  Flag,
  FrameType,
  HEAD_BYTES,
  type HeaderBlock,
  Http2Fault,
  MalformedHeaders,
} from './protocol.ts';

/** What the frames of a connection say. */
export interface FrameListener {
  onHeaders(streamId: number, block: HeaderBlock, isLast: boolean): void;
  /** A header block that means nothing. */
  onMalformed(streamId: number, fault: MalformedHeaders): void;
  onData(streamId: number, part: Buffer, isLast: boolean): void;
  /** Filling beside the data, which counts for the window. */
  onPadding(streamId: number, bytes: number): void;
  onReset(streamId: number, code: number): void;
  onSettings(payload: Buffer): void;
  /** Our own settings were acknowledged. */
  onAcknowledged(): void;
  onPing(payload: Buffer): void;
  /** Our ping was answered. */
  onPong(): void;
  /** Streams above `lastId` were not looked at. */
  onGoAway(lastId: number): void;
  onWindow(streamId: number, bytes: number): void;
}

const OF_STREAMS: ReadonlySet<number> = new Set([FrameType.data, FrameType.headers, FrameType.reset]);

const OF_CONNECTIONS: ReadonlySet<number> = new Set([FrameType.settings, FrameType.ping, FrameType.goAway]);

interface TornBlock {
  readonly head: FrameHead;
  readonly pieces: Buffer[];
  bytes: number;
}

/** Understands the frames of one connection, and refuses those that break the protocol whatever streams there are. */
export class FrameParser implements FrameSink {
  readonly #listener: FrameListener;
  readonly #reader: FrameReader;
  readonly #decoder: HeaderDecoder = new HeaderDecoder();
  #isGreeted = false;
  /** The header block whose continuation must come next. */
  #torn: TornBlock | undefined;

  constructor(listener: FrameListener) {
    this.#listener = listener;
    this.#reader = new FrameReader(this);
  }

  /** Takes what the socket brings. @throws Http2Fault */
  push(chunk: Buffer): void {
    this.#reader.push(chunk);
  }

  onData(head: FrameHead, part: Buffer, isLast: boolean): void {
    this.#checkOrder(head);
    this.#listener.onData(head.streamId, part, isLast && has(head, Flag.endStream));
  }

  onFrame(head: FrameHead, payload: Buffer): void {
    this.#checkOrder(head);
    switch (head.type) {
      case FrameType.data:
        this.#onPadded(head, payload);
        break;
      case FrameType.headers:
      case FrameType.continuation:
        this.#onBlock(head, payload);
        break;
      case FrameType.reset:
        this.#listener.onReset(head.streamId, wordOf(payload, 4));
        break;
      case FrameType.windowUpdate:
        this.#listener.onWindow(head.streamId, wordOf(payload, 4) & 0x7fff_ffff);
        break;
      case FrameType.pushPromise:
        throw broken('it pushes, which was refused');
      default:
        this.#onConnectionFrame(head, payload);
    }
  }

  /** Data without padding has come in parts already. */
  #onPadded(head: FrameHead, payload: Buffer): void {
    const data = unpad(head, payload);
    this.#listener.onPadding(head.streamId, payload.length - data.length);
    this.#listener.onData(head.streamId, data, has(head, Flag.endStream));
  }

  /** Unknown frames are passed over. */
  #onConnectionFrame(head: FrameHead, payload: Buffer): void {
    switch (head.type) {
      case FrameType.goAway:
        this.#listener.onGoAway(wordOf(payload) & 0x7fff_ffff);
        break;
      case FrameType.ping:
        if (payload.length !== 8) throw new Http2Fault(ErrorCode.frameSizeError, 'a ping is of another size');
        if (has(head, Flag.acknowledgement)) this.#listener.onPong();
        else this.#listener.onPing(payload);
        break;
      case FrameType.settings:
        this.#onSettings(head, payload);
        break;
      default:
    }
  }

  #onSettings(head: FrameHead, payload: Buffer): void {
    if (!has(head, Flag.acknowledgement)) this.#listener.onSettings(payload);
    else if (payload.length === 0) this.#listener.onAcknowledged();
    else throw new Http2Fault(ErrorCode.frameSizeError, 'an acknowledgement of settings is not empty');
  }

  /** @throws Http2Fault for a frame that may not come now. */
  #checkOrder(head: FrameHead): void {
    const { type, streamId } = head;
    if (!this.#isGreeted && type !== FrameType.settings) throw broken('it does not begin with settings');
    this.#isGreeted = true;
    if (this.#torn === undefined ? type === FrameType.continuation : !isNext(this.#torn, head)) {
      throw broken('a header block is torn');
    }
    if (streamId === 0 && OF_STREAMS.has(type)) throw broken('a frame of a stream names none');
    if (streamId !== 0 && OF_CONNECTIONS.has(type)) throw broken('a frame of the connection names a stream');
  }

  #onBlock(head: FrameHead, payload: Buffer): void {
    const torn = this.#torn ?? { head, pieces: [], bytes: 0 };
    const piece = head.type === FrameType.headers ? withoutPriority(head, unpad(head, payload)) : payload;
    torn.pieces.push(piece);
    // Empty pieces cost something too.
    torn.bytes += piece.length + HEAD_BYTES;
    if (torn.bytes > HEADER_LIMIT_BYTES) {
      throw new Http2Fault(ErrorCode.enhanceYourCalm, `its headers are over ${HEADER_LIMIT_BYTES} bytes`);
    }
    if (!has(head, Flag.endHeaders)) {
      this.#torn = torn;
      return;
    }
    this.#torn = undefined;
    const block = torn.pieces.length === 1 ? piece : Buffer.concat(torn.pieces);
    this.#onFields(torn.head, block);
  }

  #onFields(head: FrameHead, block: Buffer): void {
    let fields: HeaderBlock;
    try {
      fields = this.#decoder.decode(block);
    } catch (error) {
      if (!(error instanceof MalformedHeaders)) throw error;
      this.#listener.onMalformed(head.streamId, error);
      return;
    }
    this.#listener.onHeaders(head.streamId, fields, has(head, Flag.endStream));
  }
}

function isNext(torn: TornBlock, { type, streamId }: FrameHead): boolean {
  return type === FrameType.continuation && streamId === torn.head.streamId;
}

function has({ flags }: FrameHead, flag: number): boolean {
  return (flags & flag) !== 0;
}

function unpad(head: FrameHead, payload: Buffer): Buffer {
  if (!has(head, Flag.padded)) return payload;
  const end = payload.length - (payload[0] ?? 0);
  if (end < 1) throw broken('a frame is all padding');
  return payload.subarray(1, end);
}

/** A stream's place among others, which nobody heeds any more. */
function withoutPriority(head: FrameHead, payload: Buffer): Buffer {
  return has(head, Flag.priority) ? payload.subarray(5) : payload;
}

function wordOf(payload: Buffer, exactBytes?: number): number {
  if (payload.length < 4 || (exactBytes !== undefined && payload.length !== exactBytes)) {
    throw new Http2Fault(ErrorCode.frameSizeError, 'a frame is of another size');
  }
  return payload.readUInt32BE(0);
}

function broken(fault: string): Http2Fault {
  return new Http2Fault(ErrorCode.protocolError, fault);
}
