import { LinkMessageTooLarge } from './errors.ts';

/** Bytes before each message: one of flags, four of length (gRPC over HTTP/2, "Length-Prefixed-Message"). */
export const PREFIX_BYTES = 5;

/** Longest message that is copied behind its prefix; above that, two writes are cheaper than the copy. In bytes. */
const JOIN_LIMIT_BYTES = 32 * 1024;

/** A message ready for the wire, in one or two pieces. */
export function encodeFrame(message: Uint8Array): readonly [Buffer] | readonly [Buffer, Uint8Array] {
  const size = message.byteLength;
  if (size > 0xffff_ffff) {
    throw new LinkMessageTooLarge({ size: String(size), limit: String(0xffff_ffff) });
  }
  const isJoined = size <= JOIN_LIMIT_BYTES;
  const head = Buffer.allocUnsafe(isJoined ? PREFIX_BYTES + size : PREFIX_BYTES);
  head[0] = 0;
  head.writeUInt32BE(size, 1);
  if (!isJoined) return [head, message];
  head.set(message, PREFIX_BYTES);
  return [head];
}

/** Length of the message whose prefix begins there. */
export function sizeAt(bytes: Uint8Array, start: number): number {
  const high = (bytes[start + 1] ?? 0) * 0x100_0000;
  return high + ((bytes[start + 2] ?? 0) << 16) + ((bytes[start + 3] ?? 0) << 8) + (bytes[start + 4] ?? 0);
}

/** What came in cannot be cut into messages. */
export class FrameFault extends Error {}

/**
 * Cuts a stream of chunks into messages.
 *
 * @remarks A message that arrives in one chunk is a view of it. Nothing is allocated on the word of a length prefix:
 * pieces are kept as they come and joined when the message is complete.
 */
export class FrameDecoder {
  readonly #limitBytes: number;
  /** Highest flags that a message may have: 1 says that it is compressed. */
  readonly #maxFlags: number;
  #pieces: Uint8Array[] = [];
  #pendingBytes = 0;
  /** Bytes that `#pieces` must reach: a prefix, then a prefix and its message. */
  #wantedBytes = PREFIX_BYTES;

  /** @param takesCompressed - Whether messages may be compressed; if not, one that is breaks the protocol. */
  constructor(limitBytes: number, takesCompressed = false) {
    this.#limitBytes = limitBytes;
    this.#maxFlags = takesCompressed ? 1 : 0;
  }

  /** Bytes of a message that is not complete; 0 between two messages. */
  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  /** True between two messages. */
  get isClean(): boolean {
    return this.#pendingBytes === 0;
  }

  /**
   * Takes a chunk and hands each message that it completes to `sink`.
   *
   * @throws FrameFault for flags that were not agreed upon.
   * @throws LINK_MESSAGE_TOO_LARGE
   */
  push(chunk: Uint8Array, sink: (message: Uint8Array, isCompressed: boolean) => void): void {
    let rest = chunk;
    if (this.#pendingBytes > 0) {
      if (this.#pendingBytes + rest.byteLength < this.#wantedBytes) {
        this.#keep(rest);
        return;
      }
      rest = this.#join(rest);
    }
    let start = 0;
    while (rest.byteLength - start >= PREFIX_BYTES) {
      const end = start + PREFIX_BYTES + this.#messageBytes(rest, start);
      if (end > rest.byteLength) {
        this.#wantedBytes = end - start;
        break;
      }
      sink(rest.subarray(start + PREFIX_BYTES, end), rest[start] === 1);
      start = end;
    }
    if (start < rest.byteLength) this.#keep(start === 0 ? rest : rest.subarray(start));
  }

  #keep(piece: Uint8Array): void {
    if (piece.byteLength === 0) return;
    this.#pieces.push(piece);
    this.#pendingBytes += piece.byteLength;
  }

  #join(last: Uint8Array): Uint8Array {
    this.#pieces.push(last);
    const joined = Buffer.concat(this.#pieces, this.#pendingBytes + last.byteLength);
    this.#pieces = [];
    this.#pendingBytes = 0;
    this.#wantedBytes = PREFIX_BYTES;
    return joined;
  }

  #messageBytes(bytes: Uint8Array, start: number): number {
    const flags = bytes[start] ?? 0;
    if (flags > this.#maxFlags)
      throw new FrameFault(`a message has the flags ${flags}, which were not agreed upon`);
    const size = sizeAt(bytes, start);
    if (size > this.#limitBytes) {
      throw new LinkMessageTooLarge({ size: String(size), limit: String(this.#limitBytes) });
    }
    return size;
  }
}
