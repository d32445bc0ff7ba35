import { FrameDecoder, FrameFault, PREFIX_BYTES, sizeAt } from '../../wire/message-frame.ts';
import { MessageQueue, type PausableSource } from '../../wire/message-queue.ts';
import { inflate } from './inflate.ts';
import type { RequestHead } from './request-head.ts';

/** What a call brings: one request, or a stream of them, compressed or not. */
export class RequestIntake {
  readonly #encoding: RequestHead['encoding'];
  readonly #limitBytes: number;
  /** `undefined` where there is one request. */
  readonly #queue: MessageQueue | undefined;
  #decoder: FrameDecoder | undefined;
  #only: Uint8Array | undefined;
  #compressed: Set<Uint8Array> | undefined;

  /** @param source - Made to wait while the requests of a stream are not taken; `undefined` where there is one request. */
  constructor({ encoding }: RequestHead, limitBytes: number, source: PausableSource | undefined) {
    this.#encoding = encoding;
    this.#limitBytes = limitBytes;
    if (source === undefined) return;
    this.#queue = new MessageQueue();
    this.#queue.source = source;
  }

  /** @throws FrameFault, LINK_MESSAGE_TOO_LARGE */
  push(chunk: Buffer): void {
    if (this.#decoder === undefined && isWhole(chunk, this.#limitBytes)) {
      this.#take(chunk.subarray(PREFIX_BYTES), false);
      return;
    }
    this.#decoder ??= new FrameDecoder(this.#limitBytes, this.#encoding !== 'identity');
    this.#decoder.push(chunk, (message, isCompressed) => this.#take(message, isCompressed));
  }

  #take(message: Uint8Array, isCompressed: boolean): void {
    if (isCompressed) {
      this.#compressed ??= new Set();
      this.#compressed.add(message);
    }
    if (this.#queue !== undefined) this.#queue.push(message);
    else if (this.#only === undefined) this.#only = message;
    else throw new FrameFault('it has more than one message, and its method takes one');
  }

  /** Nothing follows. @returns the only request, where there is one. @throws FrameFault when something is missing. */
  end(): Uint8Array | undefined {
    if (this.#decoder?.isClean === false) throw new FrameFault('its last message is cut off');
    if (this.#queue === undefined && this.#only === undefined) {
      throw new FrameFault('it has no message, and its method takes one');
    }
    this.#queue?.end();
    return this.#only;
  }

  /** Nobody will send the rest: whoever waits for it is told why. */
  breakOff(error: Error): void {
    this.#queue?.end(error);
  }

  /** Bytes that are kept of a message which is not complete. */
  get pendingBytes(): number {
    return this.#decoder?.pendingBytes ?? 0;
  }

  /** Whether the only request can be used as it is. */
  get isPlain(): boolean {
    return this.#compressed === undefined;
  }

  /** A message as it was before it was compressed. @throws as {@link inflate} */
  async plain(message: Uint8Array): Promise<Uint8Array> {
    const isCompressed = this.#compressed?.delete(message) === true;
    const encoding = this.#encoding;
    if (!isCompressed || encoding === 'identity' || encoding === 'unknown') return message;
    return inflate(message, encoding, this.#limitBytes);
  }

  /** All requests; one after another is uncompressed, so that small ones cannot become too much at once. */
  async *messages(): AsyncGenerator<Uint8Array> {
    const queue = this.#queue;
    if (queue === undefined) {
      if (this.#only !== undefined) yield await this.plain(this.#only);
      return;
    }
    for (;;) {
      const message = queue.take() ?? (await queue.receive());
      if (message === undefined) return;
      yield this.isPlain ? message : await this.plain(message);
    }
  }
}

/** Whether a chunk is one message that is not compressed, and nothing else: most calls come like that. */
function isWhole(chunk: Buffer, limitBytes: number): boolean {
  const bytes = chunk.length - PREFIX_BYTES;
  return bytes >= 0 && chunk[0] === 0 && bytes <= limitBytes && sizeAt(chunk, 0) === bytes;
}
