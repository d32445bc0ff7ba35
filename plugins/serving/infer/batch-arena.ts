const FIRST_BYTES = 65_536;
/** Larger ones are not kept: they are rare, and what they cost beside their run is little. */
const KEEP_BYTES = 16 * 1_024 * 1_024;

/**
 * Memory in which the inputs of one batch are put together, used again for the next.
 *
 * @remarks Fresh memory is a hundred times dearer than warm memory: each of its pages is mapped and cleared at first touch.
 */
export class BatchArena {
  #buffer: ArrayBuffer = new ArrayBuffer(FIRST_BYTES);
  #usedBytes = 0;

  /** Gives all of it back; what was put together before is gone. @param neededBytes - What will be asked for. */
  reset(neededBytes: number): void {
    this.#usedBytes = 0;
    if (neededBytes > this.#buffer.byteLength)
      this.#buffer = new ArrayBuffer(2 ** Math.ceil(Math.log2(neededBytes)));
    else if (this.#buffer.byteLength > KEEP_BYTES && neededBytes <= KEEP_BYTES)
      this.#buffer = new ArrayBuffer(FIRST_BYTES);
  }

  /** Takes some of it, at a multiple of 8. */
  take(sizeBytes: number): Uint8Array<ArrayBuffer> {
    const start = this.#usedBytes;
    this.#usedBytes = Math.ceil((start + sizeBytes) / 8) * 8;
    return new Uint8Array(this.#buffer, start, sizeBytes);
  }

  /** True for arrays that lie in it, which somebody who keeps them has to copy. */
  holds(data: ArrayBufferView): boolean {
    return data.buffer === this.#buffer;
  }
}
