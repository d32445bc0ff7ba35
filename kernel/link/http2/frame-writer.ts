import type { Socket } from 'node:net';
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

  /** Writes a header block, in as many frames as it needs. */
  headers(streamId: number, block: Buffer): void {
    let type: number = FrameType.headers;
    for (let at = 0; at < block.length; at += FRAME_LIMIT_BYTES) {
      const end = Math.min(block.length, at + FRAME_LIMIT_BYTES);
      this.frame(
        { type, flags: end === block.length ? Flag.endHeaders : 0, streamId },
        block.subarray(at, end),
      );
      type = FrameType.continuation;
    }
  }

  /** Writes one frame, which must not be longer than the other side takes. */
  frame(head: { type: number; flags: number; streamId: number }, payload: Uint8Array): void {
    const isCopied = payload.byteLength <= COPY_LIMIT_BYTES;
    const at = this.#reserve(HEAD_BYTES + (isCopied ? payload.byteLength : 0));
    const slab = this.#slab;
    slab.writeUIntBE(payload.byteLength, at, 3);
    slab[at + 3] = head.type;
    slab[at + 4] = head.flags;
    slab.writeUInt32BE(head.streamId, at + 5);
    if (isCopied) {
      slab.set(payload, at + HEAD_BYTES);
    } else {
      this.#cut();
      this.#piece(payload);
    }
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => this.flush());
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
