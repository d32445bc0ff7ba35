import { Code } from '../../sdk/index.ts';
import { StatusError } from '../status-error.ts';

/** Bytes in front of a message: one flag byte and a big-endian length (gRPC over HTTP/2, "Length-Prefixed-Message"). */
const PREFIX_BYTES = 5;

/** Puts the prefix before a message, in one buffer so that it leaves in one write. */
export function frame(message: Uint8Array): Buffer {
  const framed = Buffer.allocUnsafe(PREFIX_BYTES + message.byteLength);
  framed[0] = 0;
  framed.writeUInt32BE(message.byteLength, 1);
  framed.set(message, PREFIX_BYTES);
  return framed;
}

/** Cuts messages out of the chunks of a stream, however they were split. */
export class FrameReader {
  readonly #maxMessageBytes: number;
  #chunks: Buffer[] = [];
  #bufferedBytes = 0;

  constructor(maxMessageBytes: number) {
    this.#maxMessageBytes = maxMessageBytes;
  }

  /** Bytes of a message that has not arrived whole. */
  get bufferedBytes(): number {
    return this.#bufferedBytes;
  }

  /** @throws StatusError for a compressed message or one over the limit: the other side broke the contract. */
  read(chunk: Buffer): Buffer[] {
    this.#chunks.push(chunk);
    this.#bufferedBytes += chunk.byteLength;
    const messages: Buffer[] = [];
    for (;;) {
      const lengthBytes = this.#nextLength();
      if (lengthBytes === undefined || this.#bufferedBytes < PREFIX_BYTES + lengthBytes) return messages;
      const joined = this.#join();
      messages.push(joined.subarray(PREFIX_BYTES, PREFIX_BYTES + lengthBytes));
      const rest = joined.subarray(PREFIX_BYTES + lengthBytes);
      this.#chunks = rest.byteLength === 0 ? [] : [rest];
      this.#bufferedBytes = rest.byteLength;
    }
  }

  #nextLength(): number | undefined {
    if (this.#bufferedBytes < PREFIX_BYTES) return undefined;
    let head = this.#chunks[0] ?? Buffer.alloc(0);
    if (head.byteLength < PREFIX_BYTES) head = this.#join();
    if (head[0] !== 0) {
      throw broken('a message is marked compressed although no compression was agreed');
    }
    const lengthBytes = head.readUInt32BE(1);
    if (lengthBytes > this.#maxMessageBytes) {
      throw new StatusError({
        code: Code.RESOURCE_EXHAUSTED,
        message: `The answer holds a message of ${lengthBytes} bytes, more than the limit of ${this.#maxMessageBytes}.`,
      });
    }
    return lengthBytes;
  }

  #join(): Buffer {
    const [only] = this.#chunks;
    if (only !== undefined && this.#chunks.length === 1) return only;
    const joined = Buffer.concat(this.#chunks, this.#bufferedBytes);
    this.#chunks = [joined];
    return joined;
  }
}

/** The other side does not speak gRPC as it should. */
export function broken(problem: string): StatusError {
  return new StatusError({ code: Code.INTERNAL, message: `The plugin's answer is not valid gRPC: ${problem}.` });
}
