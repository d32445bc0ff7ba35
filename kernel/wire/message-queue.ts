/** Bytes read ahead of the consumer before the other side is made to wait; large enough to keep it busy meanwhile. */
const READ_AHEAD_BYTES = 256 * 1024;

/** Messages read ahead, so that many empty ones are bounded too. */
const READ_AHEAD_MESSAGES = 1_024;

/** What brings the messages, as far as it can be made to wait. */
export interface PausableSource {
  pause(): void;
  resume(): void;
}

/** Messages that one consumer takes in its own time; their source waits while the consumer is behind. */
export class MessageQueue {
  /** What brings the messages, once that is known. */
  source: PausableSource | undefined;
  #queue: Uint8Array[] = [];
  #next = 0;
  #queuedBytes = 0;
  #isPaused = false;
  #isOver = false;
  #error: Error | undefined;
  #wake: (() => void) | undefined;

  push(message: Uint8Array): void {
    this.#queue.push(message);
    this.#queuedBytes += message.byteLength;
    const isBehind =
      this.#queuedBytes > READ_AHEAD_BYTES || this.#queue.length - this.#next > READ_AHEAD_MESSAGES;
    if (isBehind && !this.#isPaused) {
      this.#isPaused = true;
      this.source?.pause();
    }
    this.#wakeUp();
  }

  /** Nothing follows; the error, where there is one, comes after the messages before it. */
  end(error?: Error): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#error = error;
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
        this.source?.resume();
      }
    }
    return message;
  }

  /** The next message, or `undefined` at the end. @throws the error that {@link end} was told. */
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
