const LARGE_CHUNK_BYTES = 1024;
const INITIAL_BYTES = 4096;

/**
 * Protobuf writer that keeps large byte strings as references until the end, so weights are copied once.
 *
 * @remarks A message's length stands before its content; each nested message therefore gets a writer of its own,
 * whose parts are then taken over.
 */
export class WireWriter {
  readonly #parts: Uint8Array[] = [];
  #buffer = new Uint8Array(0);
  #used = 0;
  #total = 0;

  /** Bytes written so far. */
  get sizeBytes(): number {
    return this.#total;
  }

  /** Writes the tag that opens a field. */
  tag(field: number, wireType: number): void {
    this.varint(BigInt(field * 8 + wireType));
  }

  /** Writes a varint; negative numbers take ten bytes, as protobuf has it. */
  varint(value: bigint): void {
    let rest = BigInt.asUintN(64, value);
    while (rest >= 0x80n) {
      this.#push(Number(rest & 0x7fn) | 0x80);
      rest >>= 7n;
    }
    this.#push(Number(rest));
  }

  /** Writes a little-endian 32-bit float. */
  float(value: number): void {
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setFloat32(0, value, true);
    this.raw(bytes);
  }

  /** Writes a little-endian 64-bit float. */
  double(value: number): void {
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setFloat64(0, value, true);
    this.raw(bytes);
  }

  /** Writes a length and the bytes. */
  chunk(bytes: Uint8Array): void {
    this.varint(BigInt(bytes.byteLength));
    this.raw(bytes);
  }

  /** Writes a length and what `write` puts into the nested writer. */
  nested(write: (writer: WireWriter) => void): void {
    const inner = new WireWriter();
    write(inner);
    this.varint(BigInt(inner.#total));
    for (const part of inner.#finishParts()) {
      this.raw(part);
    }
  }

  /** Writes bytes as they are. */
  raw(bytes: Uint8Array): void {
    if (bytes.byteLength >= LARGE_CHUNK_BYTES) {
      this.#flush();
      this.#parts.push(bytes);
    } else {
      this.#reserve(bytes.byteLength);
      this.#buffer.set(bytes, this.#used);
      this.#used += bytes.byteLength;
    }
    this.#total += bytes.byteLength;
  }

  /** Everything written, in one array. */
  finish(): Uint8Array {
    const result = new Uint8Array(this.#total);
    let offset = 0;
    for (const part of this.#finishParts()) {
      result.set(part, offset);
      offset += part.byteLength;
    }
    return result;
  }

  #finishParts(): readonly Uint8Array[] {
    this.#flush();
    return this.#parts;
  }

  #push(byte: number): void {
    this.#reserve(1);
    this.#buffer[this.#used] = byte;
    this.#used += 1;
    this.#total += 1;
  }

  #reserve(count: number): void {
    if (this.#used + count <= this.#buffer.byteLength) {
      return;
    }
    const grown = new Uint8Array(Math.max(this.#buffer.byteLength * 2, this.#used + count, 64));
    grown.set(this.#buffer.subarray(0, this.#used));
    this.#buffer = grown;
    if (this.#used > INITIAL_BYTES) {
      this.#flush();
      this.#reserve(count);
    }
  }

  #flush(): void {
    if (this.#used > 0) {
      this.#parts.push(this.#buffer.subarray(0, this.#used));
      this.#buffer = new Uint8Array(0);
      this.#used = 0;
    }
  }
}
