import { BrokenFrame } from './frames.ts';

/** Bytes a writer may be ahead of its reader; a message may exceed what is left, so that any size gets through. */
const WINDOW_BYTES = 512 * 1024;

/** Counted for every message beside its bytes, so that many empty ones are bounded too. */
const MESSAGE_BYTES = 128;

function cost(bytes: Uint8Array): number {
  return bytes.byteLength + MESSAGE_BYTES;
}

/** The writing half of a stream: sends no faster than the other side reads. */
export class Outlet {
  readonly #send: (bytes: Uint8Array) => void;
  #leftBytes = WINDOW_BYTES;
  #isStopped = false;
  #wake: (() => void) | undefined;
  #source: AsyncIterator<Uint8Array> | undefined;

  constructor(send: (bytes: Uint8Array) => void) {
    this.#send = send;
  }

  /** The reader has taken bytes. */
  grant(bytes: number): void {
    this.#leftBytes += bytes;
    this.#wakeUp();
  }

  /** Nothing is sent any more; the source is told, also when it is waiting for its next message. */
  stop(): void {
    if (this.#isStopped) return;
    this.#isStopped = true;
    this.#wakeUp();
    const source = this.#source;
    // A source that fails while it is being stopped has nobody left to tell.
    if (source?.return !== undefined) void Promise.resolve(source.return()).catch(() => undefined);
  }

  /**
   * Sends everything the source has.
   *
   * @returns false when it was stopped before the end.
   * @throws what the source throws.
   */
  async drain(messages: AsyncIterable<Uint8Array>): Promise<boolean> {
    const source = messages[Symbol.asyncIterator]();
    this.#source = source;
    while (!this.#isStopped) {
      const { done, value } = await source.next();
      if (done === true) {
        this.#source = undefined;
        return !this.#isStopped;
      }
      while (this.#leftBytes <= 0 && !this.#isStopped) await this.#granted();
      if (this.#isStopped) return false;
      this.#leftBytes -= cost(value);
      this.#send(value);
    }
    return false;
  }

  async #granted(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
  }

  #wakeUp(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }
}

/** The reading half of a stream, for one reader. It grants credit as messages are taken. */
export class Inlet implements AsyncIterable<Uint8Array> {
  readonly #grant: (bytes: number) => void;
  #queue: Uint8Array[] = [];
  #next = 0;
  /** Taken from the queue and not yet granted. */
  #owedBytes = 0;
  /** Received and not yet granted. */
  #aheadBytes = 0;
  #isOver = false;
  #error: Error | undefined;
  #wake: (() => void) | undefined;

  constructor(grant: (bytes: number) => void) {
    this.#grant = grant;
  }

  /** @throws BrokenFrame when the writer does not wait for credit, whose messages would fill the memory. */
  push(bytes: Uint8Array): void {
    if (this.#isOver) return;
    if (this.#aheadBytes >= WINDOW_BYTES) throw new BrokenFrame('a message came without credit');
    this.#aheadBytes += cost(bytes);
    this.#queue.push(bytes);
    this.#wakeUp();
  }

  /** The writer is done, well or not; what came before is read first. */
  end(error?: Error): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#error = error;
    this.#wakeUp();
  }

  /** @throws the error of {@link end}, after the messages that came before it. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    for (;;) {
      const message = this.#take();
      if (message !== undefined) yield message;
      else if (this.#error !== undefined) throw this.#error;
      else if (this.#isOver) return;
      else await this.#changed();
    }
  }

  #take(): Uint8Array | undefined {
    const message = this.#queue[this.#next];
    if (message === undefined) return undefined;
    this.#next += 1;
    if (this.#next === this.#queue.length) {
      this.#queue = [];
      this.#next = 0;
    }
    this.#owedBytes += cost(message);
    if (this.#owedBytes >= WINDOW_BYTES / 2 && !this.#isOver) {
      const grantedBytes = this.#owedBytes;
      this.#aheadBytes -= grantedBytes;
      this.#owedBytes = 0;
      this.#grant(grantedBytes);
    }
    return message;
  }

  async #changed(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
  }

  #wakeUp(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }
}
