import http2 from 'node:http2';
import type { ClientHttp2Stream, IncomingHttpHeaders } from 'node:http2';
import { type CallHeaders, Code } from '../../sdk/index.ts';
import { StatusError } from '../status-error.ts';
import { broken, FrameReader } from './frame.ts';
import { statusOf, statusOfHttp, toCallHeaders } from './metadata.ts';

/** Suggested pause before a retry after a lost connection, in milliseconds. */
const RETRY_PUSHBACK_MS = 250;

/** Messages read ahead of the consumer before the stream is paused. */
const READ_AHEAD = 16;

/** Callbacks for the metadata of an answer. */
export interface AnswerListener {
  readonly onHeaders?: ((headers: CallHeaders) => void) | undefined;
  readonly onTrailers?: ((trailers: CallHeaders) => void) | undefined;
}

/** The receiving half of one call: messages in order, then the status. */
export class LinkCall {
  readonly #stream: ClientHttp2Stream;
  readonly #reader: FrameReader;
  readonly #messages: Buffer[] = [];
  #error: StatusError | undefined;
  #isDone = false;
  #sawStatus = false;
  #wake: (() => void) | undefined;

  constructor(stream: ClientHttp2Stream, maxMessageBytes: number, listener: AnswerListener) {
    this.#stream = stream;
    this.#reader = new FrameReader(maxMessageBytes);
    stream.on('response', (headers: IncomingHttpHeaders) => this.#onResponse(headers, listener));
    stream.on('trailers', (trailers: IncomingHttpHeaders) => this.#onTrailers(trailers, listener));
    stream.on('data', (chunk: Buffer) => this.#onData(chunk));
    stream.on('error', (error: Error) => this.fail(lost(error.message)));
    stream.on('close', () => this.#onClose());
  }

  #onResponse(headers: IncomingHttpHeaders, listener: AnswerListener): void {
    if (headers['grpc-status'] !== undefined) {
      this.#onTrailers(headers, listener);
      return;
    }
    const status = Number(headers[':status']);
    if (status !== 200) {
      this.fail(new StatusError({ code: statusOfHttp(status), message: `The plugin answered HTTP status ${status}.` }));
      return;
    }
    listener.onHeaders?.(toCallHeaders(headers));
  }

  #onTrailers(trailers: IncomingHttpHeaders, listener: AnswerListener): void {
    this.#sawStatus = true;
    listener.onTrailers?.(toCallHeaders(trailers));
    this.#error ??= statusOf(trailers);
  }

  #onData(chunk: Buffer): void {
    try {
      this.#messages.push(...this.#reader.read(chunk));
    } catch (error) {
      this.fail(error as StatusError);
      return;
    }
    if (this.#messages.length > READ_AHEAD) this.#stream.pause();
    this.#wake?.();
  }

  #onClose(): void {
    if (!this.#sawStatus) this.#error ??= lost('the connection ended before the status arrived');
    else if (this.#reader.bufferedBytes > 0) this.#error ??= broken('the last message is cut off');
    this.#isDone = true;
    this.#wake?.();
  }

  /** Ends the call from this side. */
  fail(error: StatusError): void {
    this.#error ??= error;
    this.#isDone = true;
    this.#stream.close(http2.constants.NGHTTP2_CANCEL);
    this.#wake?.();
  }

  /**
   * The next message, or `undefined` at the end of a call that went well.
   *
   * @throws StatusError when the call failed; messages that came before are given out first.
   */
  async next(): Promise<Buffer | undefined> {
    for (;;) {
      const message = this.#messages.shift();
      if (message !== undefined) {
        if (this.#messages.length === 0 && !this.#isDone) this.#stream.resume();
        return message;
      }
      if (this.#isDone) {
        if (this.#error !== undefined) throw this.#error;
        return undefined;
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}

/** The status of a call whose connection went away. */
export function lost(problem: string): StatusError {
  return new StatusError({
    code: Code.UNAVAILABLE,
    message: `The connection to the plugin was lost (${problem}); retry.`,
    trailers: new Map([['grpc-retry-pushback-ms', String(RETRY_PUSHBACK_MS)]]),
  });
}
