import { ErrorCode, Flag, FRAME_LIMIT_BYTES, FrameType, HEAD_BYTES, Http2Fault } from './protocol.ts';

/** The head of a frame. */
export interface FrameHead {
  readonly type: number;
  readonly flags: number;
  /** 0 for the connection itself. */
  readonly streamId: number;
}

/** Who takes what a connection brings. */
export interface FrameSink {
  /** A frame that is whole. */
  onFrame(head: FrameHead, payload: Buffer): void;
  /** A part of the payload of a DATA frame, as it came; the last part, which may be empty, says so. */
  onData(head: FrameHead, part: Buffer, isLast: boolean): void;
}

/**
 * Cuts what a socket brings into frames.
 *
 * @remarks Data is passed on as it comes, without a copy. Everything else is small and waits until it is whole.
 */
export class FrameReader {
  readonly #sink: FrameSink;
  #pieces: Buffer[] = [];
  #pendingBytes = 0;
  /** Bytes that `#pieces` must reach before a look at them is worth while. */
  #wantedBytes = HEAD_BYTES;
  /** The DATA frame that is under way. */
  #data: FrameHead | undefined;
  #dataBytes = 0;

  constructor(sink: FrameSink) {
    this.#sink = sink;
  }

  /** @throws Http2Fault for a frame that is too long, and whatever the sink throws. */
  push(chunk: Buffer): void {
    let bytes = chunk;
    if (this.#pendingBytes > 0) {
      this.#keep(chunk);
      if (this.#pendingBytes < this.#wantedBytes) return;
      bytes = Buffer.concat(this.#pieces, this.#pendingBytes);
      this.#pieces = [];
      this.#pendingBytes = 0;
    }
    let at = 0;
    for (;;) {
      const next = this.#data === undefined ? this.#frame(bytes, at) : this.#part(this.#data, bytes, at);
      if (next === at) break;
      at = next;
    }
    if (at < bytes.length) this.#keep(at === 0 ? bytes : bytes.subarray(at));
  }

  #keep(piece: Buffer): void {
    this.#pieces.push(piece);
    this.#pendingBytes += piece.length;
  }

  /** Takes a frame, or the head of one with data, and returns where the next begins; `at` when it is not whole. */
  #frame(bytes: Buffer, at: number): number {
    this.#wantedBytes = HEAD_BYTES;
    if (bytes.length - at < HEAD_BYTES) return at;
    const length = lengthAt(bytes, at);
    if (length > FRAME_LIMIT_BYTES)
      throw new Http2Fault(ErrorCode.frameSizeError, `a frame has ${length} bytes`);
    const head = {
      type: bytes[at + 3] ?? 0,
      flags: bytes[at + 4] ?? 0,
      streamId: bytes.readUInt32BE(at + 5) & 0x7fff_ffff,
    };
    const start = at + HEAD_BYTES;
    if (head.type === FrameType.data && (head.flags & Flag.padded) === 0) {
      this.#data = head;
      this.#dataBytes = length;
      return length === 0 ? this.#part(head, bytes, start) : start;
    }
    const end = start + length;
    if (end > bytes.length) {
      this.#wantedBytes = HEAD_BYTES + length;
      return at;
    }
    this.#sink.onFrame(head, bytes.subarray(start, end));
    return end;
  }

  #part(head: FrameHead, bytes: Buffer, at: number): number {
    const end = Math.min(bytes.length, at + this.#dataBytes);
    if (end === at && this.#dataBytes > 0) return at;
    this.#dataBytes -= end - at;
    const isLast = this.#dataBytes === 0;
    if (isLast) this.#data = undefined;
    this.#sink.onData(head, bytes.subarray(at, end), isLast);
    return end;
  }
}

/** Number of three bytes. */
function lengthAt(bytes: Buffer, at: number): number {
  return ((bytes[at] ?? 0) << 16) | ((bytes[at + 1] ?? 0) << 8) | (bytes[at + 2] ?? 0);
}
