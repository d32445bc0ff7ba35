import type { DescMethod } from '@bufbuild/protobuf';
import type { CallHeaders } from '../../../sdk/index.ts';
import type { Evidence } from '../../access/principal.ts';
import { Call, CANCELLED, type CallInit } from '../../call.ts';
import { DEADLINE_EXCEEDED } from '../../deadline.ts';
import { NOWHERE } from '../../indexed-set.ts';
import { TOKEN_HEADER } from '../../kernel-link.ts';
import { readMetadata } from '../../wire/call-metadata.ts';
import type { Expiring } from '../../wire/deadlines.ts';
import { ErrorCode } from '../../wire/http2/protocol.ts';
import type { Http2Stream, StreamListener } from '../../wire/http2/stream.ts';
import { encodeFrame, FrameFault } from '../../wire/message-frame.ts';
import type { CompleteCall } from './call-queue.ts';
import type { CallPeer } from './call-surroundings.ts';
import { encodeFailure, encodeHttpStatus, encodeMetadata, HEAD, type Metadata, OK } from './answer-blocks.ts';
import { malformed, refusalOf } from './refusals.ts';
import type { RequestHead } from './request-head.ts';
import { RequestIntake } from './request-intake.ts';

/** Kinds of methods whose callers send one request. */
const ONE_REQUEST: ReadonlySet<DescMethod['methodKind'] | undefined> = new Set(['unary', 'server_streaming']);

/**
 * One call at the server: takes its requests, sends its answers, and ends it with a status whatever happens.
 *
 * @remarks One object with methods, not one for each question: every call makes it.
 */
export class ServerCall implements StreamListener, CallInit, Evidence, Expiring, CompleteCall {
  index: number = NOWHERE;
  expiresAtMs: number = Infinity;
  readonly caller: string | undefined;
  readonly deadlineMs: number | undefined;
  readonly stream: Http2Stream;
  readonly #head: RequestHead;
  readonly #peer: CallPeer;
  readonly #kind: DescMethod['methodKind'] | undefined;
  readonly #intake: RequestIntake;
  #call: Call | undefined;
  /** The only request, until the call is begun. */
  #request: Uint8Array | undefined;
  #hasStarted = false;
  #isAnswered = false;
  #isCancelled = false;
  #onCancelled: (() => void) | undefined;

  constructor(stream: Http2Stream, head: RequestHead, peer: CallPeer) {
    const { surroundings } = peer;
    this.stream = stream;
    this.#head = head;
    this.#peer = peer;
    stream.listener = this;
    this.caller = surroundings.identify(head.block[TOKEN_HEADER]);
    const { leftMs } = head;
    // It came before this turn of the event loop began.
    if (leftMs !== undefined) this.deadlineMs = Date.now() + leftMs - (surroundings.queue?.turnMs() ?? 0);
    this.#kind = surroundings.kindOf(head.path);
    const source = this.#hasOneRequest ? undefined : stream;
    this.#intake = new RequestIntake(head, surroundings.limitBytes, source);
    const refusal = refusalOf(head);
    if (refusal !== undefined) this.#fail(refusal);
    else this.#open();
  }

  #open(): void {
    this.#peer.surroundings.deadlines.add(this);
    if (!this.#hasOneRequest) void this.#serveStream();
  }

  /** What is no gRPC at all is refused when all of it has come. */
  get #hasOneRequest(): boolean {
    return ONE_REQUEST.has(this.#kind) || this.#head.httpRefusal !== undefined;
  }

  /** True while the one request is under way. */
  get awaitsRequest(): boolean {
    return this.#hasOneRequest && !this.stream.isReceived;
  }

  /** Bytes of a request that is not complete. */
  get pendingRequestBytes(): number {
    return this.#intake.pendingBytes;
  }

  get isForeign(): boolean {
    return this.caller !== undefined;
  }

  get evidence(): Evidence | undefined {
    return this.caller === undefined ? this : undefined;
  }

  readHeaders(): CallHeaders {
    return readMetadata(this.#head.block);
  }

  readPeer(): string {
    return this.#peer.address;
  }

  peer(): string {
    return this.#peer.address;
  }

  header(name: string): string | undefined {
    return this.#head.block[name];
  }

  certificateNames(): string | undefined {
    return this.#peer.certificateNames();
  }

  onCancelled(listener: () => void): void {
    if (this.#isCancelled) listener();
    else this.#onCancelled = listener;
  }

  /** Trailers of a request mean nothing. */
  onHeaders(): void {}

  onData(chunk: Buffer): void {
    if (this.#isAnswered || this.#head.httpRefusal !== undefined) return;
    try {
      this.#intake.push(chunk);
    } catch (error) {
      this.#fail(error);
    }
  }

  onEnd(): void {
    if (this.#isAnswered) return;
    const { httpRefusal } = this.#head;
    if (httpRefusal !== undefined) return this.#finish(encodeHttpStatus(httpRefusal));
    const { queue } = this.#peer.surroundings;
    try {
      this.#request = this.#intake.end();
    } catch (error) {
      this.#fail(error);
      return;
    }
    if (queue === undefined) this.begin();
    else queue.add(this);
  }

  /** What brings its requests one after another has begun with its headers. */
  begin(): void {
    const request = this.#request;
    this.#request = undefined;
    if (request === undefined || this.#isAnswered) return;
    try {
      this.#serve(request);
    } catch (error) {
      this.#fail(error);
    }
  }

  onBroken(): void {
    if (this.#isAnswered) return;
    this.#isAnswered = true;
    this.#peer.surroundings.deadlines.remove(this);
    this.#cancel();
  }

  expire(): void {
    this.#fail(DEADLINE_EXCEEDED);
  }

  #serve(request: Uint8Array): void {
    if (this.#kind !== 'unary') void this.#serveStream();
    else if (this.#intake.isPlain) this.#serveUnary(request);
    else this.#intake.plain(request).then((plain) => this.#serveUnary(plain), this.#failLater);
  }

  #serveUnary(request: Uint8Array): void {
    const call = new Call(this);
    this.#call = call;
    this.#peer.surroundings.target
      .unary(this.#head.path, request, call)
      .then((answer) => this.#answer(answer), this.#failLater);
  }

  readonly #failLater = (error: unknown): void => this.#fail(error);

  /** Sends a stream of answers, no faster than the client reads. */
  async #serveStream(): Promise<void> {
    const call = new Call(this);
    this.#call = call;
    call.flushHeaders = () => this.#start();
    // A stream that waits for its caller must end with it, so the signal is always needed here.
    const { signal } = call;
    const { target } = this.#peer.surroundings;
    try {
      for await (const answer of target.stream(this.#head.path, this.#intake.messages(), call)) {
        if (signal.aborted) throw signal.reason;
        if (this.#isAnswered) return;
        this.#start();
        if (!this.stream.write(encodeFrame(answer))) await this.#room(signal);
      }
      this.#finish(this.#trailers());
    } catch (error) {
      if (call.setHeaders !== undefined) this.#start();
      this.#fail(error);
    }
  }

  /** Waits until the stream takes more, or until nobody will read it any more. */
  async #room(signal: AbortSignal): Promise<void> {
    await new Promise<void>((resolve) => {
      const done = (): void => {
        signal.removeEventListener('abort', done);
        resolve();
      };
      signal.addEventListener('abort', done, { once: true });
      void this.stream.writable().then(done);
    });
  }

  #answer(answer: Uint8Array): void {
    if (this.#isAnswered) return;
    // Streams wait until their caller reads; a single answer was made already.
    if (this.#peer.isFull) return this.stream.fail(ErrorCode.enhanceYourCalm);
    try {
      const pieces = encodeFrame(answer);
      this.#start();
      this.stream.write(pieces);
      this.#finish(this.#trailers());
    } catch (error) {
      this.#fail(error);
    }
  }

  #start(): void {
    if (this.#hasStarted || this.#isAnswered) return;
    this.#hasStarted = true;
    const headers = this.#call?.setHeaders;
    this.stream.head(headers === undefined ? HEAD : Buffer.concat([HEAD, this.#encode(headers)]));
  }

  #trailers(): Buffer {
    this.#start();
    const trailers = this.#call?.setTrailers;
    return trailers === undefined ? OK : Buffer.concat([OK, this.#encode(trailers)]);
  }

  #fail(error: unknown): void {
    if (this.#isAnswered) return;
    const reason = error instanceof FrameFault ? malformed(error.message) : error;
    const failure = encodeFailure(
      reason,
      () => (this.#call ?? new Call(this)).requestId,
      (problem) => this.#leftOut(problem),
    );
    const trailers = this.#call?.setTrailers;
    const head = this.#hasStarted ? [] : [HEAD];
    const own = trailers === undefined ? [] : [this.#encode(trailers)];
    this.#finish(Buffer.concat([...head, failure, ...own]));
    // What serves the call may not know yet that it is over.
    this.#cancel();
  }

  #encode(metadata: Metadata): Buffer {
    return encodeMetadata(metadata, (error) => this.#leftOut(error));
  }

  #leftOut(error: unknown): void {
    const text = 'metadata that gRPC cannot carry was left out of an answer';
    this.#peer.surroundings.log.warn(text, { method: this.#head.path, error });
  }

  #finish(block: Buffer): void {
    if (this.#isAnswered) return;
    this.#isAnswered = true;
    this.#peer.surroundings.deadlines.remove(this);
    this.stream.end(block);
  }

  #cancel(): void {
    this.#isCancelled = true;
    this.#intake.breakOff(CANCELLED);
    this.#onCancelled?.();
  }
}
