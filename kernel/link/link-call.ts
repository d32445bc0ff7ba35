import http2 from 'node:http2';
import type { ClientHttp2Stream, IncomingHttpHeaders } from 'node:http2';
import { DeclaredError, isDeclaredError } from '../../sdk/index.ts';
import { StatusError } from '../status-error.ts';
import { lostError, readHeadersFault, readStatus, resetError } from './answer-status.ts';
import type { Connection } from './connection.ts';
import type { Deadlines, Expiring } from './deadlines.ts';
import { LinkCancelled, LinkDeadlineExceeded, LinkProtocolBroken } from './errors.ts';
import { FrameDecoder, FrameFault } from './message-frame.ts';

/** Who receives what a call brings. */
export interface AnswerSink {
  /** First header block; not called for an answer that is a status alone. */
  onHeaders(block: IncomingHttpHeaders): void;
  onMessage(message: Uint8Array): void;
  /** The call is over; called exactly once, after everything else. */
  onEnd(error: Error | undefined, trailers: IncomingHttpHeaders): void;
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

const CANCEL: number = http2.constants.NGHTTP2_CANCEL;
const NO_TRAILERS: IncomingHttpHeaders = Object.freeze({});

/**
 * The receiving half of one call: cuts the answer into messages and decides how the call ended.
 *
 * @remarks The call is over when its status and the end of its data have both come, in whichever order Node tells
 * them, or when it was broken off. It went well only in the first case: a status followed by a lost message is a loss.
 */
export class LinkCall implements Expiring {
  readonly deadlineMs: number;
  readonly #stream: ClientHttp2Stream;
  readonly #surroundings: CallSurroundings;
  readonly #sink: AnswerSink;
  readonly #signal: AbortSignal | undefined;
  readonly #decoder: FrameDecoder;
  readonly #onMessage: (message: Uint8Array) => void;
  readonly #onAbort: (() => void) | undefined;
  #trailers: IncomingHttpHeaders | undefined;
  #isEnded = false;
  #isSettled = false;

  constructor(stream: ClientHttp2Stream, surroundings: CallSurroundings, parts: CallParts) {
    const { sink, deadlineMs, signal } = parts;
    this.#stream = stream;
    this.#surroundings = surroundings;
    this.#sink = sink;
    this.#signal = signal;
    this.#decoder = new FrameDecoder(surroundings.limitBytes);
    this.#onMessage = (message) => sink.onMessage(message);
    this.deadlineMs = deadlineMs ?? Infinity;
    if (deadlineMs !== undefined) surroundings.deadlines.add(this);
    if (signal !== undefined) {
      this.#onAbort = () => this.fail(abortError(signal.reason));
      signal.addEventListener('abort', this.#onAbort, { once: true });
    }
    parts.onCancellable?.((reason) => this.fail(abortError(reason)));
    stream.on('response', (block) => this.#onResponse(block));
    stream.on('data', (chunk: Buffer) => this.#onData(chunk));
    stream.on('trailers', (block) => this.#onTrailers(block));
    stream.on('end', () => {
      this.#isEnded = true;
      if (this.#trailers !== undefined) this.#finish(this.#trailers);
    });
    // What an error means is decided when the stream is closed, which always follows.
    stream.on('error', ignore);
    stream.on('close', () => this.#onClose());
  }

  get isSettled(): boolean {
    return this.#isSettled;
  }

  /** Ends the call from this side and tells the other one. */
  fail(error: Error): void {
    if (this.#isSettled) return;
    this.#settle(error, NO_TRAILERS);
    this.#stream.close(CANCEL);
  }

  expire(): void {
    this.fail(new LinkDeadlineExceeded({}));
  }

  #onResponse(block: IncomingHttpHeaders): void {
    const fault = readHeadersFault(block, this.#surroundings.address);
    // A proxy may send a status with its error page; the status says more than the page.
    if (block['grpc-status'] !== undefined) this.#onTrailers(block);
    else if (fault !== undefined) this.fail(fault);
    else if (!this.#isSettled) this.#sink.onHeaders(block);
  }

  #onTrailers(block: IncomingHttpHeaders): void {
    this.#trailers = block;
    if (this.#isEnded) this.#finish(block);
  }

  #onData(chunk: Buffer): void {
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

  #finish(trailers: IncomingHttpHeaders): void {
    const { address } = this.#surroundings;
    const error = readStatus(trailers, address);
    const isCut = error === undefined && !this.#decoder.isClean;
    this.#settle(
      isCut ? new LinkProtocolBroken({ address, fault: 'its last message is cut off' }) : error,
      trailers,
    );
  }

  #onClose(): void {
    if (this.#isSettled) return;
    const { connection, address } = this.#surroundings;
    const trailers = this.#trailers;
    const isComplete = trailers !== undefined && this.#stream.readableLength === 0;
    if (isComplete || isFailure(trailers)) {
      this.#finish(trailers ?? NO_TRAILERS);
      return;
    }
    const code = this.#stream.rstCode ?? 0;
    const settle = (): void => {
      const isLost = connection.isGone || (code === CANCEL && !connection.isUsable);
      this.#settle(isLost ? lostError(address) : resetError(code, address), NO_TRAILERS);
    };
    // A server that goes down may cancel its streams just before it says so; its callers should retry then.
    if (code === CANCEL) setImmediate(settle);
    else settle();
  }

  #settle(error: Error | undefined, trailers: IncomingHttpHeaders): void {
    if (this.#isSettled) return;
    this.#isSettled = true;
    if (this.deadlineMs !== Infinity) this.#surroundings.deadlines.remove(this);
    if (this.#onAbort !== undefined) this.#signal?.removeEventListener('abort', this.#onAbort);
    // A server may answer before it has read all requests; without this the sending half would stay open for ever.
    if (!this.#stream.writableEnded) this.#stream.close(CANCEL);
    this.#sink.onEnd(error, trailers);
  }
}

function isFailure(trailers: IncomingHttpHeaders | undefined): boolean {
  return trailers !== undefined && trailers['grpc-status'] !== '0';
}

function ignore(): void {
  // See the remark where it is used.
}

/** The error of a call whose signal was aborted: its reason, if that is fit for callers. */
export function abortError(reason: unknown): Error {
  if (reason instanceof StatusError || reason instanceof DeclaredError || isDeclaredError(reason))
    return reason;
  return new LinkCancelled({}, { cause: reason });
}
