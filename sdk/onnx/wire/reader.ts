import { ModelMalformed } from '../errors.ts';

const MAX_DEPTH = 64;
const MAX_MESSAGES = 4_000_000;

/**
 * Cursor over protobuf bytes that checks every length before it is used.
 *
 * @remarks Wire format: https://protobuf.dev/programming-guides/encoding. Depth and number of messages are bounded,
 * because two hostile bytes can ask for an object of a hundred.
 */
export class WireReader {
  readonly bytes: Uint8Array;
  readonly #view: DataView;
  #offset = 0;
  #end: number;
  #depth = 0;
  #messages = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#end = bytes.byteLength;
  }

  /** Position in the bytes. */
  get offset(): number {
    return this.#offset;
  }

  /** Whether the current message has more fields. */
  get hasMore(): boolean {
    return this.#offset < this.#end;
  }

  /** Reads an unsigned varint of up to 64 bits. */
  varint(): bigint {
    const small = this.#smallVarint();
    if (small !== undefined) {
      return BigInt(small);
    }
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.#byte();
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) {
        return BigInt.asUintN(64, value);
      }
    }
    throw this.malformed('a number has more than 10 bytes');
  }

  /** Reads a signed 64-bit varint that must fit a JavaScript number. */
  integer(): number {
    const small = this.#smallVarint();
    if (small !== undefined) {
      return small;
    }
    const value = BigInt.asIntN(64, this.varint());
    if (value > BigInt(Number.MAX_SAFE_INTEGER) || value < BigInt(Number.MIN_SAFE_INTEGER)) {
      throw this.malformed('a number is out of range');
    }
    return Number(value);
  }

  /** Reads a little-endian 32-bit float. */
  float(): number {
    return this.#view.getFloat32(this.#take(4), true);
  }

  /** Reads a little-endian 64-bit float. */
  double(): number {
    return this.#view.getFloat64(this.#take(8), true);
  }

  /** Reads a length and returns that many bytes as a view. */
  chunk(): Uint8Array {
    const length = this.integer();
    if (length < 0) {
      throw this.malformed('a length is negative');
    }
    const start = this.#take(length);
    return this.bytes.subarray(start, start + length);
  }

  /** Reads a length, then hands the reader, limited to that many bytes, to `read`. */
  nested<Result>(read: () => Result): Result {
    const length = this.integer();
    const outerEnd = this.#end;
    if (length < 0 || length > outerEnd - this.#offset) {
      throw this.malformed('a message reaches past its container');
    }
    this.#messages += 1;
    if (this.#depth >= MAX_DEPTH || this.#messages > MAX_MESSAGES) {
      throw this.malformed(`it is nested deeper than ${MAX_DEPTH} or has more than ${MAX_MESSAGES} parts`);
    }
    this.#depth += 1;
    this.#end = this.#offset + length;
    const result = read();
    this.#end = outerEnd;
    this.#depth -= 1;
    return result;
  }

  /** Steps over the value of a field. */
  skip(wireType: number): void {
    if (wireType === 0) {
      this.varint();
    } else if (wireType === 1) {
      this.#take(8);
    } else if (wireType === 2) {
      this.chunk();
    } else if (wireType === 5) {
      this.#take(4);
    } else {
      throw this.malformed(`wire type ${wireType} does not exist`);
    }
  }

  /** Builds the error for bytes that break the format here. */
  malformed(what: string): InstanceType<typeof ModelMalformed> {
    return new ModelMalformed({ detail: `${what} (byte ${this.#offset} of ${this.bytes.byteLength})` });
  }

  /** A varint of up to four bytes, which covers nearly all; leaves the position alone when it is longer. */
  #smallVarint(): number | undefined {
    let value = 0;
    const limit = Math.min(this.#offset + 4, this.#end);
    for (let at = this.#offset, shift = 0; at < limit; at += 1, shift += 7) {
      const byte = this.bytes[at] ?? 0;
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) {
        this.#offset = at + 1;
        return value;
      }
    }
    return undefined;
  }

  #byte(): number {
    return this.bytes[this.#take(1)] ?? 0;
  }

  #take(count: number): number {
    const start = this.#offset;
    if (count > this.#end - start) {
      throw this.malformed('it ends in the middle of a value');
    }
    this.#offset = start + count;
    return start;
  }
}
