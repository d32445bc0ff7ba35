import type { Socket } from 'node:net';
import type { FrameHead } from './frame-reader.ts';
import { Flag, FRAME_LIMIT_BYTES, FrameType, HEAD_BYTES } from './protocol.ts';

/** Small frames are gathered in pieces of memory of this size, in bytes. */
const SLAB_BYTES = 16 * 1024;

/** Payloads above this are handed to the socket as they are; below, a copy is cheaper than one more piece. In bytes. */
const COPY_LIMIT_BYTES = 4 * 1024;

/** Bytes that wait for the socket from which on no more data is given to it. */
const BACKLOG_LIMIT_BYTES = 1024 * 1024;

/**
 * Writes frames to a socket, all of one turn of the event loop at once.
 *
 * @remarks A write to a socket costs more than all the rest of a call, and calls come and go in bunches.
 */
export class FrameWriter {
  readonly #socket: Socket;
  #slab: Buffer = Buffer.allocUnsafeSlow(SLAB_BYTES);
  #start = 0;
  #end = 0;
  #pieces: Uint8Array[] = [];
  #pieceBytes = 0;
  #isScheduled = false;
  readonly #flushLater = (): void => this.flush();

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** True while the other side does not read what was written. */
  get isCongested(): boolean {
    return this.backlogBytes > BACKLOG_LIMIT_BYTES;
  }

  /** Bytes that the system has not taken yet. */
  get backlogBytes(): number {
    return this.#socket.writableLength + this.#pieceBytes;
  }

  /** Writes a header block, in as many frames as it needs; `isLast` ends the stream. */
  headers(streamId: number, block: Buffer, isLast = false): void {
    const endStream = isLast ? Flag.endStream : 0;
    if (block.length <= FRAME_LIMIT_BYTES) {
      this.frame({ type: FrameType.headers, flags: Flag.endHeaders | endStream, streamId }, block);
      return;
    }
    for (let at = 0; at < block.length; at += FRAME_LIMIT_BYTES) {
      const end = Math.min(block.length, at + FRAME_LIMIT_BYTES);
      const type = at === 0 ? FrameType.headers : FrameType.continuation;
      const flags = (at === 0 ? endStream : 0) | (end === block.length ? Flag.endHeaders : 0);
      this.frame({ type, flags, streamId }, block.subarray(at, end));
    }
  }

  /** Writes one frame, which must not be longer than the other side takes. */
  frame({ type, flags, streamId }: FrameHead, payload: Uint8Array): void {
    const { byteLength } = payload;
    const isCopied = byteLength <= COPY_LIMIT_BYTES;
    const at = this.#reserve(HEAD_BYTES + (isCopied ? byteLength : 0));
    const slab = this.#slab;
    slab[at] = byteLength >>> 16;
    slab[at + 1] = byteLength >>> 8;
    slab[at + 2] = byteLength;
    slab[at + 3] = type;
    slab[at + 4] = flags;
    slab[at + 5] = streamId >>> 24;
    slab[at + 6] = streamId >>> 16;
    slab[at + 7] = streamId >>> 8;
    slab[at + 8] = streamId;
    if (isCopied) {
      slab.set(payload, at + HEAD_BYTES);
    } else {
      this.#cut();
      this.#piece(payload);
    }
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(this.#flushLater);
  }

  /** Gives the socket what was written. */
  flush(): void {
    this.#isScheduled = false;
    this.#cut();
    const pieces = this.#pieces;
    this.#pieces = [];
    this.#pieceBytes = 0;
    if (this.#socket.destroyed || pieces.length === 0) return;
    if (pieces.length > 1) this.#socket.cork();
    for (const piece of pieces) this.#socket.write(piece);
    if (pieces.length > 1) this.#socket.uncork();
  }

  #reserve(bytes: number): number {
    if (this.#end + bytes > this.#slab.length) {
      this.#cut();
      this.#slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
      this.#start = 0;
      this.#end = 0;
    }
    const at = this.#end;
    this.#end += bytes;
    return at;
  }

  /** Puts what the slab holds behind the pieces before it. */
  #cut(): void {
    if (this.#start === this.#end) return;
    this.#piece(this.#slab.subarray(this.#start, this.#end));
    this.#start = this.#end;
  }

  #piece(bytes: Uint8Array): void {
    this.#pieces.push(bytes);
    this.#pieceBytes += bytes.byteLength;
  }
}
