import { ErrorCode, type HeaderBlock, Http2Fault, LIMIT_31_BITS } from './protocol.ts';

/** Who receives what a stream brings. */
export interface StreamListener {
  /** A header block: the first of the answer, or trailers. */
  onHeaders(block: HeaderBlock): void;
  onData(chunk: Buffer): void;
  /** The other side has said all. */
  onEnd(): void;
  /** The stream was broken off with an HTTP/2 error code; `undefined` when its connection was lost. Nothing follows. */
  onBroken(code: number | undefined): void;
}

/** What a stream needs of its connection. */
export interface StreamOwner {
  /** Longest piece of data that may be sent now. */
  readonly sendableBytes: number;
  /** Bytes of all streams that wait to be sent; streams keep the count. */
  unsentBytes: number;
  sendData(stream: Http2Stream, piece: Uint8Array, isLast: boolean): void;
  sendHeaders(stream: Http2Stream, block: Buffer, isLast: boolean): void;
  /** Calls {@link Http2Stream.pump} when there is room again. */
  awaitRoom(stream: Http2Stream): void;
  /** Lets the other side send that much more. */
  credit(stream: Http2Stream, bytes: number): void;
  reset(stream: Http2Stream, code: number): void;
  /** The other side has broken a rule, which costs it the stream. */
  failed(stream: Http2Stream, code: number): void;
  /** This side has said all, before the other one. */
  sent(stream: Http2Stream): void;
  /** Both halves are done. */
  finished(stream: Http2Stream): void;
}

/** Bytes that wait to be sent from which on a writer should wait too. */
const HIGH_WATER_BYTES = 64 * 1024;

/** One request and its answer on a connection. */
export class Http2Stream {
  /** 0 until the other side has room for it. */
  id = 0;
  /** Bytes that the other side takes. */
  sendWindowBytes = 0;
  /** Nobody once the stream is over: its session keeps it for a while, see {@link IndexedSet}. */
  listener: StreamListener;
  /** Called when the stream is over, however it came to that. */
  onOver: (() => void) | undefined;
  readonly #owner: StreamOwner;
  #receiveWindowBytes: number;
  readonly #windowBytes: number;
  #uncreditedBytes = 0;
  #isPaused = false;
  #queue: Uint8Array[] = [];
  #queuedBytes = 0;
  #isEnding = false;
  #trailers: Buffer | undefined;
  #isSent = false;
  #isReceived = false;
  #isOver = false;
  #writable: (() => void)[] = [];

  /** @param windowBytes - What the other side may send before it is read. */
  constructor(owner: StreamOwner, listener: StreamListener, windowBytes: number) {
    this.#owner = owner;
    this.listener = listener;
    this.#windowBytes = windowBytes;
    this.#receiveWindowBytes = windowBytes;
  }

  /** False until everything was given to the connection. */
  get isSent(): boolean {
    return this.#isSent;
  }

  /** False until the other side has said all. */
  get isReceived(): boolean {
    return this.#isReceived;
  }

  /** Bytes that were given to the connection so far. */
  sentBytes = 0;

  /** Bytes that wait to be sent. */
  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  /** Nothing more can be sent or will come. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** Sends pieces one after another, as windows permit. False when the writer should wait for {@link writable}. */
  write(pieces: readonly Uint8Array[], isLast = false): boolean {
    if (this.#isOver) return true;
    for (const piece of pieces) {
      this.#queue.push(piece);
      this.#count(piece.byteLength);
    }
    this.#isEnding = isLast;
    this.pump();
    return this.#queuedBytes < HIGH_WATER_BYTES;
  }

  /** Sends a header block that more follows, at once: before all data. */
  head(block: Buffer): void {
    if (!this.#isOver) this.#owner.sendHeaders(this, block, false);
  }

  /** Ends this side with a header block, behind what waits to be sent. */
  end(trailers: Buffer): void {
    if (this.#isOver) return;
    this.#trailers = trailers;
    this.#isEnding = true;
    this.pump();
  }

  #count(bytes: number): void {
    this.#queuedBytes += bytes;
    this.#owner.unsentBytes += bytes;
  }

  /** Resolves when there is room again, or no use in writing. */
  async writable(): Promise<void> {
    if (this.#isOver || this.#queuedBytes < HIGH_WATER_BYTES) return;
    await new Promise<void>((resolve) => {
      this.#writable.push(resolve);
    });
  }

  /** Sends what may be sent. */
  pump(): void {
    while (this.id !== 0 && !this.#isOver && !this.#isSent) {
      const [piece] = this.#queue;
      if (piece === undefined) {
        if (this.#isEnding) this.#sendEnd();
        return;
      }
      const { sendableBytes } = this.#owner;
      const bytes = Math.min(piece.byteLength, this.sendWindowBytes, sendableBytes);
      if (bytes <= 0 && piece.byteLength > 0) {
        // A closed window of the stream itself opens by a frame of its own.
        if (sendableBytes <= 0) this.#owner.awaitRoom(this);
        return;
      }
      this.#sendPart(piece, bytes);
    }
  }

  #sendPart(piece: Uint8Array, bytes: number): void {
    this.#count(-bytes);
    if (bytes === piece.byteLength) {
      this.#queue.shift();
      this.#send(piece);
    } else {
      this.#queue[0] = piece.subarray(bytes);
      this.#send(piece.subarray(0, bytes));
    }
  }

  /** The other side takes that much more; less, when its settings have shrunk the window. @throws Http2Fault */
  widen(bytes: number): void {
    this.sendWindowBytes += bytes;
    if (this.sendWindowBytes > LIMIT_31_BITS) {
      throw new Http2Fault(ErrorCode.flowControlError, 'it opens the window of a stream too far');
    }
    this.pump();
  }

  #send(piece: Uint8Array): void {
    const isLast = this.#isEnding && this.#queue.length === 0 && this.#trailers === undefined;
    this.sendWindowBytes -= piece.byteLength;
    this.sentBytes += piece.byteLength;
    this.#owner.sendData(this, piece, isLast);
    if (this.#queuedBytes < HIGH_WATER_BYTES) this.#wakeWriters();
    if (isLast) this.#sent();
  }

  #sendEnd(): void {
    if (this.#trailers === undefined) this.#owner.sendData(this, NOTHING, true);
    else this.#owner.sendHeaders(this, this.#trailers, true);
    this.#sent();
  }

  #sent(): void {
    this.#isSent = true;
    if (this.#isReceived) this.#finishIfDone();
    else this.#owner.sent(this);
  }

  #wakeWriters(): void {
    for (const wake of this.#writable.splice(0)) wake();
  }

  /** Lets no more come than the window holds, until {@link resume}. */
  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    this.#credit();
  }

  /** @throws Http2Fault when the other side sends more than it was allowed. */
  receive(chunk: Buffer): void {
    if (chunk.length === 0) return;
    this.count(chunk.length);
    this.listener.onData(chunk);
    if (!this.#isPaused) this.#credit();
  }

  /** Takes bytes off the window. @throws Http2Fault as {@link receive}. */
  count(bytes: number): void {
    this.#receiveWindowBytes -= bytes;
    this.#uncreditedBytes += bytes;
    if (this.#receiveWindowBytes < 0) {
      throw new Http2Fault(ErrorCode.flowControlError, 'it sends more than the window of a stream');
    }
  }

  #credit(): void {
    const bytes = this.#uncreditedBytes;
    if (bytes < this.#windowBytes / 2 || this.#isReceived || this.#isOver) return;
    this.#uncreditedBytes = 0;
    this.#receiveWindowBytes += bytes;
    this.#owner.credit(this, bytes);
  }

  /** The other side has said all. */
  receiveEnd(): void {
    this.#isReceived = true;
    this.listener.onEnd();
    this.#finishIfDone();
  }

  #finishIfDone(): void {
    if (!this.#isSent || !this.#isReceived || this.#isOver) return;
    this.#close();
    this.#owner.finished(this);
  }

  /** Breaks the stream off from this side; the listener is not told. */
  reset(code: number = ErrorCode.cancel): void {
    if (this.#isOver) return;
    this.#close();
    this.#owner.reset(this, code);
  }

  /** Breaks the stream off from this side because of what the other one did; the listener is told. */
  fail(code: number): void {
    if (this.#isOver) return;
    const { listener } = this;
    this.#close();
    listener.onBroken(code);
    this.#owner.failed(this, code);
  }

  /** The stream was broken off by the other side, or its connection was lost. */
  break(code: number | undefined): void {
    if (this.#isOver) return;
    const { listener } = this;
    this.#close();
    listener.onBroken(code);
  }

  #close(): void {
    this.#isOver = true;
    this.#queue = [];
    this.#trailers = undefined;
    this.#count(-this.#queuedBytes);
    this.#wakeWriters();
    this.onOver?.();
    this.listener = NOBODY;
    this.onOver = undefined;
  }
}

const NOTHING: Uint8Array = new Uint8Array(0);

/** Who listens to a stream that is over. */
export const NOBODY: StreamListener = {
  onHeaders: () => undefined,
  onData: () => undefined,
  onEnd: () => undefined,
  onBroken: () => undefined,
};
