import type { CallHeaders } from '../../sdk/index.ts';
import { readMetadata } from './call-metadata.ts';
import type { HeaderBlock } from './http2/protocol.ts';
import type { Http2Stream } from './http2/stream.ts';
import type { AnswerSink } from './link-call.ts';

/** Callbacks for the metadata of an answer. */
export interface AnswerListener {
  readonly onHeaders?: ((headers: CallHeaders) => void) | undefined;
  readonly onTrailers?: ((trailers: CallHeaders) => void) | undefined;
}

/** Bytes read ahead of the consumer before the other side is made to wait; large enough to keep it busy meanwhile. */
const READ_AHEAD_BYTES = 256 * 1024;

/** Messages read ahead, so that many empty ones are bounded too. */
const READ_AHEAD_MESSAGES = 1_024;

/** Queues the messages of an answer for one consumer, and stops reading while the consumer is behind. */
export class StreamSink implements AnswerSink {
  readonly #listener: AnswerListener;
  /** The stream, once the call has begun. */
  stream: Http2Stream | undefined;
  #queue: Uint8Array[] = [];
  #next = 0;
  #queuedBytes = 0;
  #isPaused = false;
  #isOver = false;
  #error: Error | undefined;
  #wake: (() => void) | undefined;

  constructor(listener: AnswerListener) {
    this.#listener = listener;
  }

  onHeaders(block: HeaderBlock): void {
    this.#listener.onHeaders?.(readMetadata(block));
  }

  onMessage(message: Uint8Array): void {
    this.#queue.push(message);
    this.#queuedBytes += message.byteLength;
    if (
      !this.#isPaused &&
      (this.#queuedBytes > READ_AHEAD_BYTES || this.#queue.length - this.#next > READ_AHEAD_MESSAGES)
    ) {
      this.#isPaused = true;
      this.stream?.pause();
    }
    this.#wakeUp();
  }

  onEnd(error: Error | undefined, trailers: HeaderBlock): void {
    this.#isOver = true;
    this.#error = error;
    if (error === undefined) this.#listener.onTrailers?.(readMetadata(trailers));
    this.#wakeUp();
  }

  /** A message that is here already. */
  take(): Uint8Array | undefined {
    const message = this.#queue[this.#next];
    if (message === undefined) return undefined;
    this.#next += 1;
    this.#queuedBytes -= message.byteLength;
    if (this.#next === this.#queue.length) {
      this.#queue = [];
      this.#next = 0;
      if (this.#isPaused) {
        this.#isPaused = false;
        this.stream?.resume();
      }
    }
    return message;
  }

  /**
   * The next message, or `undefined` at the end of a call that went well.
   *
   * @throws the call's error, after the messages that came before it.
   */
  async receive(): Promise<Uint8Array | undefined> {
    for (;;) {
      const message = this.take();
      if (message !== undefined) return message;
      if (this.#error !== undefined) throw this.#error;
      if (this.#isOver) return undefined;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  #wakeUp(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }
}
