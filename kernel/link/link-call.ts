import { DeclaredError, isDeclaredError } from '../../sdk/index.ts';
import { NOWHERE } from '../indexed-set.ts';
import { StatusError } from '../status-error.ts';
import { lostError, readHeadersFault, readStatus, resetError } from './answer-status.ts';
import type { Connection } from './connection.ts';
import type { Deadlines, Expiring } from '../wire/deadlines.ts';
import { LinkCancelled, LinkDeadlineExceeded, LinkProtocolBroken } from './errors.ts';
import { ErrorCode, type HeaderBlock } from '../wire/http2/protocol.ts';
import type { Http2Stream, StreamListener } from '../wire/http2/stream.ts';
import { FrameDecoder, FrameFault } from '../wire/message-frame.ts';

/** Who receives what a call brings. */
export interface AnswerSink {
  /** First header block; not called for an answer that is a status alone. */
  onHeaders(block: HeaderBlock): void;
  onMessage(message: Uint8Array): void;
  /** The call is over; called exactly once, after everything else. */
  onEnd(error: Error | undefined, trailers: HeaderBlock): void;
}

/** What all calls of a link share. */
export interface CallSurroundings {
  readonly connection: Connection;
  readonly address: string;
  readonly limitBytes: number;
  readonly deadlines: Deadlines;
}

/** What is particular to one call. */
export interface CallParts {
  readonly sink: AnswerSink;
  readonly onCancellable?: ((cancel: (reason: unknown) => void) => void) | undefined;
  readonly deadlineMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

const NO_TRAILERS: HeaderBlock = Object.freeze({});

/** The receiving half of one call: cuts the answer into messages and decides how the call ended. */
export class LinkCall implements Expiring, StreamListener {
  readonly deadlineMs: number | undefined;
  expiresAtMs: number = Infinity;
  index: number = NOWHERE;
  readonly #stream: Http2Stream;
  readonly #surroundings: CallSurroundings;
  readonly #sink: AnswerSink;
  readonly #signal: AbortSignal | undefined;
  readonly #decoder: FrameDecoder;
  readonly #onMessage: (message: Uint8Array) => void;
  #onAbort: (() => void) | undefined;
  #isAnswered = false;
  #trailers: HeaderBlock | undefined;
  #isSettled = false;

  /** Begins the call with its header block. */
  constructor(block: Buffer, surroundings: CallSurroundings, parts: CallParts) {
    const { sink, deadlineMs, signal } = parts;
    this.#surroundings = surroundings;
    this.#sink = sink;
    this.#signal = signal;
    this.#decoder = new FrameDecoder(surroundings.limitBytes);
    this.#onMessage = (message) => sink.onMessage(message);
    this.deadlineMs = deadlineMs;
    this.#stream = surroundings.connection.request(block, this);
    surroundings.deadlines.add(this);
    if (signal !== undefined) {
      this.#onAbort = () => this.fail(abortError(signal.reason));
      signal.addEventListener('abort', this.#onAbort, { once: true });
    }
    parts.onCancellable?.((reason) => this.fail(abortError(reason)));
  }

  get stream(): Http2Stream {
    return this.#stream;
  }

  get isSettled(): boolean {
    return this.#isSettled;
  }

  /** Ends the call from this side and tells the other one. */
  fail(error: Error): void {
    if (this.#isSettled) return;
    this.#settle(error, NO_TRAILERS);
    this.#stream.reset();
  }

  expire(): void {
    this.fail(new LinkDeadlineExceeded({}));
  }

  onHeaders(block: HeaderBlock): void {
    // A server may answer in advance that it will answer.
    if (block[':status']?.startsWith('1') === true) return;
    if (this.#isAnswered) {
      this.#trailers = block;
      return;
    }
    this.#isAnswered = true;
    const fault = readHeadersFault(block, this.#surroundings.address);
    // A proxy may send a status with its error page; the status says more than the page.
    if (block['grpc-status'] !== undefined) this.#trailers = block;
    else if (fault !== undefined) this.fail(fault);
    else if (!this.#isSettled) this.#sink.onHeaders(block);
  }

  onData(chunk: Buffer): void {
    if (this.#isSettled) return;
    try {
      this.#decoder.push(chunk, this.#onMessage);
    } catch (error) {
      const { address } = this.#surroundings;
      this.fail(
        error instanceof FrameFault
          ? new LinkProtocolBroken({ address, fault: error.message })
          : (error as Error),
      );
    }
  }

  onEnd(): void {
    if (this.#isSettled) return;
    const { address } = this.#surroundings;
    const trailers = this.#trailers;
    if (trailers === undefined) {
      this.#settle(resetError(ErrorCode.noError, address), NO_TRAILERS);
      return;
    }
    const error = readStatus(trailers, address);
    const isCut = error === undefined && !this.#decoder.isClean;
    this.#settle(
      isCut ? new LinkProtocolBroken({ address, fault: 'its last message is cut off' }) : error,
      trailers,
    );
  }

  onBroken(code: number | undefined): void {
    if (this.#isSettled) return;
    const { connection, address } = this.#surroundings;
    const settle = (): void => {
      const isLost = code === undefined || (code === ErrorCode.cancel && !connection.isUsable);
      this.#settle(isLost ? lostError(address) : resetError(code, address), NO_TRAILERS);
    };
    // A server that goes down may cancel its streams just before it says so; its callers should retry then.
    if (code === ErrorCode.cancel) setImmediate(settle);
    else settle();
  }

  #settle(error: Error | undefined, trailers: HeaderBlock): void {
    if (this.#isSettled) return;
    this.#isSettled = true;
    this.#surroundings.deadlines.remove(this);
    if (this.#onAbort !== undefined) this.#signal?.removeEventListener('abort', this.#onAbort);
    // A server may answer before it has read all requests; without this the sending half would stay open for ever.
    if (!this.#stream.isSent) this.#stream.reset();
    this.#sink.onEnd(error, trailers);
  }
}

/** The error of a call whose signal was aborted: its reason, if that is fit for callers. */
export function abortError(reason: unknown): Error {
  if (reason instanceof StatusError || reason instanceof DeclaredError || isDeclaredError(reason))
    return reason;
  return new LinkCancelled({}, { cause: reason });
}
