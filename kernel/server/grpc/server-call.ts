import type { DescMethod } from '@bufbuild/protobuf';
import { type CallHeaders, Code, type Logger } from '../../../sdk/index.ts';
import type { Evidence } from '../../access/principal.ts';
import { Call, type CallInit, cancelled } from '../../call.ts';
import { deadlineExceeded } from '../../deadline.ts';
import { NOWHERE } from '../../indexed-set.ts';
import { TOKEN_HEADER } from '../../kernel-link.ts';
import { StatusError } from '../../status-error.ts';
import type { Target } from '../../target.ts';
import { readMetadata } from '../../wire/call-metadata.ts';
import type { Deadlines, Expiring } from '../../wire/deadlines.ts';
import { ErrorCode } from '../../wire/http2/protocol.ts';
import type { Http2Stream, StreamListener } from '../../wire/http2/stream.ts';
import { encodeFrame, FrameDecoder, FrameFault, PREFIX_BYTES, sizeAt } from '../../wire/message-frame.ts';
import { MessageQueue } from '../../wire/message-queue.ts';
import { toStatus, type WireStatus } from '../status.ts';
import { encodeHttpStatus, encodeMetadata, encodeStatus, HEAD, type Metadata, OK } from './answer-blocks.ts';
import { inflate } from './inflate.ts';
import type { RequestHead } from './request-head.ts';

/** Which plugin calls, by the token that only plugins send; `undefined` for everybody else. */
export type Identify = (token: string | undefined) => string | undefined;

/** What all calls of a server share. */
export interface CallSurroundings {
  readonly target: Target;
  readonly identify: Identify;
  /** Kind of the method at a path; `undefined` for those of plugins that are on their way up. */
  readonly kindOf: (path: string) => DescMethod['methodKind'] | undefined;
  /** Largest message taken, in bytes. */
  readonly limitBytes: number;
  readonly deadlines: Deadlines;
  readonly log: Logger;
}

/** What is known of the other side of a connection. */
export interface CallPeer {
  /** Address, `host:port`. */
  readonly address: string;
  /** True while it leaves more unread than it may. */
  readonly isFull: boolean;
  /** See {@link Evidence.certificateNames}. */
  certificateNames(): string | undefined;
}

/** Longest deadline that is kept, in milliseconds; anything longer is as good as none and would overflow timers. */
const DEADLINE_LIMIT_MS = 2 ** 31 - 1;

/** Time after which Envoy gives up on the call, whatever its client said, in milliseconds. */
const PROXY_TIMEOUT = 'x-envoy-expected-rq-timeout-ms';

/** Kinds of methods whose callers send one request. */
const ONE_REQUEST: ReadonlySet<DescMethod['methodKind'] | undefined> = new Set(['unary', 'server_streaming']);

/**
 * One call at the server: takes its requests, sends its answers, and ends it with a status whatever happens.
 *
 * @remarks One object with methods, not one for each question: every call makes it.
 */
export class ServerCall implements StreamListener, CallInit, Evidence, Expiring {
  index: number = NOWHERE;
  expiresAtMs: number = Infinity;
  readonly caller: string | undefined;
  readonly deadlineMs: number | undefined;
  readonly stream: Http2Stream;
  readonly #head: RequestHead;
  readonly #peer: CallPeer;
  readonly #surroundings: CallSurroundings;
  readonly #kind: DescMethod['methodKind'] | undefined;
  #call: Call | undefined;
  #decoder: FrameDecoder | undefined;
  /** The one request, or those of a stream. */
  #request: Uint8Array | undefined;
  #requests: MessageQueue | undefined;
  #compressed: Set<Uint8Array> | undefined;
  #hasStarted = false;
  #isAnswered = false;
  #isCancelled = false;
  #onCancelled: (() => void) | undefined;

  constructor(stream: Http2Stream, head: RequestHead, peer: CallPeer, surroundings: CallSurroundings) {
    this.stream = stream;
    this.#head = head;
    this.#peer = peer;
    this.#surroundings = surroundings;
    stream.listener = this;
    this.caller = surroundings.identify(head.block[TOKEN_HEADER]);
    this.deadlineMs = this.#deadline();
    this.#kind = surroundings.kindOf(head.path);
    const refusal = refusalOf(head);
    if (head.httpRefusal !== undefined) this.#finish(encodeHttpStatus(head.httpRefusal));
    else if (refusal !== undefined) this.#fail(refusal);
    else this.#begin();
  }

  #begin(): void {
    this.#surroundings.deadlines.add(this);
    if (ONE_REQUEST.has(this.#kind)) return;
    this.#requests = new MessageQueue();
    this.#requests.source = this.stream;
    void this.#serveStream(this.#messages(this.#requests));
  }

  /** True while the one request is under way. */
  get awaitsRequest(): boolean {
    return ONE_REQUEST.has(this.#kind) && !this.stream.isReceived;
  }

  get isForeign(): boolean {
    return this.caller !== undefined;
  }

  get evidence(): Evidence | undefined {
    return this.caller === undefined ? this : undefined;
  }

  /** The earlier of what the client and a proxy on the way say. Anybody may say it: it only ever shortens one's own call. */
  #deadline(): number | undefined {
    const { timeoutMs = Infinity, block } = this.#head;
    const proxy = block[PROXY_TIMEOUT];
    const proxyMs = proxy !== undefined && /^[1-9]\d{0,8}$/.test(proxy) ? Number(proxy) : Infinity;
    const leftMs = Math.min(timeoutMs, proxyMs);
    return leftMs < DEADLINE_LIMIT_MS ? Date.now() + leftMs : undefined;
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
    if (this.#isAnswered) return;
    const { limitBytes } = this.#surroundings;
    try {
      if (this.#decoder === undefined && isWhole(chunk, limitBytes)) {
        this.#take(chunk.subarray(PREFIX_BYTES), false);
        return;
      }
      this.#decoder ??= new FrameDecoder(limitBytes, this.#head.encoding !== 'identity');
      this.#decoder.push(chunk, (message, isCompressed) => this.#take(message, isCompressed));
    } catch (error) {
      this.#fail(error instanceof FrameFault ? broken(error.message) : error);
    }
  }

  #take(message: Uint8Array, isCompressed: boolean): void {
    if (isCompressed) {
      this.#compressed ??= new Set();
      this.#compressed.add(message);
    }
    if (this.#requests !== undefined) this.#requests.push(message);
    else if (this.#request === undefined) this.#request = message;
    else throw new FrameFault('it has more than one message, and its method takes one');
  }

  onEnd(): void {
    if (this.#isAnswered) return;
    if (this.#decoder?.isClean === false) this.#fail(broken('its last message is cut off'));
    else if (this.#requests !== undefined) this.#requests.end();
    else if (this.#request === undefined) this.#fail(broken('it has no message, and its method takes one'));
    else this.#serve(this.#request);
  }

  onBroken(): void {
    if (this.#isAnswered) return;
    this.#isAnswered = true;
    this.#surroundings.deadlines.remove(this);
    this.#cancel();
  }

  expire(): void {
    this.#fail(deadlineExceeded());
  }

  #serve(request: Uint8Array): void {
    if (this.#kind !== 'unary') void this.#serveStream(this.#inflated(request));
    else if (this.#compressed === undefined) this.#serveUnary(request);
    else this.#plain(request).then((plain) => this.#serveUnary(plain), this.#failLater);
  }

  #serveUnary(request: Uint8Array): void {
    const call = new Call(this);
    this.#call = call;
    this.#surroundings.target
      .unary(this.#head.path, request, call)
      .then((answer) => this.#answer(answer), this.#failLater);
  }

  readonly #failLater = (error: unknown): void => this.#fail(error);

  /** A message that may be compressed as one that is not. */
  async #plain(message: Uint8Array): Promise<Uint8Array> {
    const { encoding } = this.#head;
    const isCompressed = this.#compressed?.delete(message) === true;
    if (!isCompressed || encoding === 'identity' || encoding === 'unknown') return message;
    return inflate(message, encoding, this.#surroundings.limitBytes);
  }

  async *#inflated(request: Uint8Array): AsyncGenerator<Uint8Array> {
    yield await this.#plain(request);
  }

  async *#messages(requests: MessageQueue): AsyncGenerator<Uint8Array> {
    for (;;) {
      const message = requests.take() ?? (await requests.receive());
      if (message === undefined) return;
      yield this.#compressed === undefined ? message : await this.#plain(message);
    }
  }

  /** Sends a stream of answers, no faster than the client reads. */
  async #serveStream(requests: AsyncIterable<Uint8Array>): Promise<void> {
    const call = new Call(this);
    this.#call = call;
    call.flushHeaders = () => this.#start();
    // A stream that waits for its caller must end with it, so the signal is always needed here.
    const { signal } = call;
    try {
      for await (const answer of this.#surroundings.target.stream(this.#head.path, requests, call)) {
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
    const status = toStatus(error, () => (this.#call ?? new Call(this)).requestId);
    const blocks = [encodeStatus(status), this.#encode(trailersOf(this.#call, status))];
    this.#finish(Buffer.concat(this.#hasStarted ? blocks : [HEAD, ...blocks]));
    // What serves the call may not know yet that it is over.
    this.#cancel();
  }

  #encode(metadata: Metadata): Buffer {
    return encodeMetadata(metadata, (error) => {
      const text = 'metadata that gRPC cannot carry was left out of an answer';
      this.#surroundings.log.warn(text, { method: this.#head.path, error });
    });
  }

  #finish(block: Buffer): void {
    if (this.#isAnswered) return;
    this.#isAnswered = true;
    this.#surroundings.deadlines.remove(this);
    this.stream.end(block);
  }

  #cancel(): void {
    this.#isCancelled = true;
    this.#requests?.end(cancelled());
    this.#onCancelled?.();
  }
}

function* trailersOf(call: Call | undefined, status: WireStatus): Metadata {
  yield* call?.setTrailers ?? [];
  yield* status.trailers;
}

/** Why a call with that head is refused before anything else of it is looked at. */
function refusalOf({ timeoutMs, encoding, block }: RequestHead): StatusError | undefined {
  if (Number.isNaN(timeoutMs)) return broken('its grpc-timeout is not a time');
  if (encoding !== 'unknown') return undefined;
  const message = `Messages cannot be compressed with '${block['grpc-encoding'] ?? ''}' here; use gzip, deflate or none.`;
  return new StatusError({ code: Code.UNIMPLEMENTED, message });
}

function broken(fault: string): StatusError {
  const message = `The call is not valid gRPC: ${fault}; check the client.`;
  return new StatusError({ code: Code.INTERNAL, message });
}

/** Whether a chunk is one message that is not compressed, and nothing else: most calls come like that. */
function isWhole(chunk: Buffer, limitBytes: number): boolean {
  const bytes = chunk.length - PREFIX_BYTES;
  return bytes >= 0 && chunk[0] === 0 && bytes <= limitBytes && sizeAt(chunk, 0) === bytes;
}
