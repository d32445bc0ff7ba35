import { cutFrame, type Frame, type FramePrefix, PREFIX_BYTES, readPrefix } from './frame.ts';

/**
 * Puts frames together from the chunks of a stream.
 *
 * @remarks A frame is copied once, into a buffer of exactly its size, which then belongs to whoever gets the frame: results
 * are views over it, and an aligned start is what lets them be typed arrays.
 */
export class FrameReader {
  readonly #onFrame: (frame: Frame) => void;
  readonly #start: Buffer = Buffer.alloc(PREFIX_BYTES);
  #prefix: FramePrefix | undefined;
  #target: Buffer;
  #filled = 0;

  constructor(onFrame: (frame: Frame) => void) {
    this.#onFrame = onFrame;
    this.#target = this.#start;
  }

  /** Takes the next bytes of the stream. @throws RangeError if they are no frame. */
  push(chunk: Buffer): void {
    if (this.#filled === 0 && this.#isFrame(chunk)) return;
    let offset = 0;
    while (offset < chunk.byteLength) {
      const taken = chunk.copy(this.#target, this.#filled, offset);
      offset += taken;
      this.#filled += taken;
      if (this.#filled === this.#target.byteLength) this.#advance();
    }
  }

  /** Nearly every small frame arrives as a chunk of its own, which nobody else holds: then it need not be copied. */
  #isFrame(chunk: Buffer): boolean {
    if (chunk.byteLength < PREFIX_BYTES || chunk.byteOffset % 8 !== 0) return false;
    const prefix = readPrefix(chunk);
    if (prefix.totalBytes !== chunk.byteLength) return false;
    this.#onFrame(cutFrame(chunk, prefix));
    return true;
  }

  #advance(): void {
    if (this.#prefix === undefined) {
      this.#prefix = readPrefix(this.#start);
      // Not from Node's shared pool, whose slices may start anywhere.
      this.#target = Buffer.allocUnsafeSlow(this.#prefix.totalBytes);
      this.#start.copy(this.#target);
      if (this.#filled < this.#prefix.totalBytes) return;
    }
    const frame = cutFrame(this.#target, this.#prefix);
    this.#prefix = undefined;
    this.#target = this.#start;
    this.#filled = 0;
    this.#onFrame(frame);
  }
}
