import type { Socket } from 'node:net';
import {
  ErrorCode,
  type HeaderBlock,
  Http2Fault,
  LIMIT_31_BITS,
  type MalformedHeaders,
  PREFACE,
  Setting,
} from './protocol.ts';
import { hasPseudoFields, isRequest } from './request-fields.ts';
import { ResetBudget } from './reset-budget.ts';
import { Http2Session } from './session.ts';
import { type Http2Stream, NOBODY } from './stream.ts';

/** Who serves what a connection brings. */
export interface ServerListener {
  /** The other side has greeted. */
  onGreeted(): void;
  /** All of the answer to a stream that is refused because there are too many; `undefined` lets it begin. */
  refusal(block: HeaderBlock): Buffer | undefined;
  /** A stream begins; whoever serves it puts its listener there. */
  onRequest(stream: Http2Stream, block: HeaderBlock): void;
  /** Our ping was answered. */
  onPong(): void;
  /** The connection is gone, and every stream was told. */
  onGone(): void;
}

/** Limits of one connection. */
export interface ServerSessionLimits {
  /** Streams at once; further ones are refused. */
  readonly maxStreams: number;
  /** Unsent bytes from which on new streams are refused. */
  readonly maxUnsentBytes: number;
}

/** Time for the other side to read our goodbye, and then for what is on the way to it, in milliseconds. */
const GOODBYE_MS = 1_000;

/** How requests of HTTP/1 begin. */
const HTTP1 = /^(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) /;

/** For people who try a browser or curl. */
const HTTP1_ANSWER = [
  'HTTP/1.1 505 HTTP Version Not Supported',
  'content-type: text/plain; charset=utf-8',
  'connection: close',
  '',
  'This port speaks gRPC over HTTP/2; use a gRPC client, or the HTTP port.\n',
].join('\r\n');

/** The server's half of one HTTP/2 connection. */
export class ServerSession extends Http2Session {
  readonly #listener: ServerListener;
  readonly #limits: ServerSessionLimits;
  readonly #resets: ResetBudget = new ResetBudget();
  #prefaceBytes = 0;
  #hasGreeted = false;
  /** The last block that was found in order: mostly the next one too. */
  #checked: HeaderBlock | undefined;
  /** Highest id of a stream that was begun. */
  lastId = 0;
  #state: 'serving' | 'goodbye' | 'finishing' = 'serving';
  #timer: NodeJS.Timeout | undefined;

  constructor(socket: Socket, listener: ServerListener, limits: ServerSessionLimits) {
    super(socket, [[Setting.maxConcurrentStreams, limits.maxStreams]]);
    this.#listener = listener;
    this.#limits = limits;
  }

  protected override take(chunk: Buffer): void {
    const missingBytes = PREFACE.length - this.#prefaceBytes;
    if (missingBytes === 0) {
      super.take(chunk);
      return;
    }
    const start = chunk.subarray(0, missingBytes);
    if (!start.equals(PREFACE.subarray(this.#prefaceBytes, this.#prefaceBytes + start.length))) {
      if (HTTP1.test(start.toString('latin1'))) this.socket.write(HTTP1_ANSWER);
      throw new Error('it does not speak HTTP/2');
    }
    this.#prefaceBytes += start.length;
    if (this.#prefaceBytes < PREFACE.length) return;
    // Not before, so that what speaks something else can read our answer.
    this.#greet();
    this.#listener.onGreeted();
    if (chunk.length > missingBytes) super.take(chunk.subarray(missingBytes));
  }

  #greet(): void {
    if (this.#hasGreeted) return;
    this.#hasGreeted = true;
    this.control.greet();
  }

  /** Streams that have not ended. */
  get open(): Http2Stream[] {
    return this.streams.values();
  }

  get isIdle(): boolean {
    return this.streams.size === 0;
  }

  /** True while the other side leaves more unread than it may. */
  get isFull(): boolean {
    return this.unsentBytes > this.#limits.maxUnsentBytes;
  }

  ping(): void {
    this.control.ping();
  }

  /**
   * Takes no new streams and ends the connection once the last one has ended. Streams that are on their way are taken
   * until the other side has read that (RFC 9113 section 6.8).
   */
  finish(): void {
    if (this.#state !== 'serving' || this.isGone) return;
    this.#state = 'goodbye';
    // Settings come before anything else, also on a connection whose client has not been heard yet.
    this.#greet();
    this.control.goAway(ErrorCode.noError, LIMIT_31_BITS);
    this.control.ping();
    this.#timer = setTimeout(() => this.#finishing(), GOODBYE_MS).unref();
  }

  #finishing(): void {
    if (this.#state !== 'goodbye' || this.isGone) return;
    clearTimeout(this.#timer);
    this.#state = 'finishing';
    this.control.goAway(ErrorCode.noError, this.lastId);
    this.goOn();
  }

  protected goOn(): void {
    if (this.#state !== 'finishing' || !this.isIdle || this.isGone) return;
    this.writer.flush();
    // Not destroyed: what it has not read yet would be lost with a reset of the connection.
    this.socket.end();
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.destroy(), GOODBYE_MS).unref();
  }

  protected ended(): void {
    clearTimeout(this.#timer);
    this.breakAll(this.streams.values(), undefined);
    this.#listener.onGone();
  }

  onHeaders(streamId: number, block: HeaderBlock, isLast: boolean): void {
    const known = this.streams.get(streamId);
    if (known !== undefined) {
      // Trailers of a request, which gRPC does not have.
      if (!isLast || known.isReceived || hasPseudoFields(block)) known.fail(ErrorCode.protocolError);
      else known.receiveEnd();
      return;
    }
    if (!this.#isNew(streamId)) return;
    const code = this.#refusal(block);
    if (code !== undefined) {
      this.#refuse(streamId, code);
      return;
    }
    const answer = this.#listener.refusal(block);
    if (answer !== undefined) {
      this.writer.headers(streamId, answer, true);
      if (!isLast) this.control.reset(streamId, ErrorCode.noError);
      return;
    }
    const stream = this.createStream(NOBODY);
    this.begin(stream, streamId);
    this.#listener.onRequest(stream, block);
    if (isLast) stream.receiveEnd();
  }

  /** Whether a stream that we take begins with that id. @throws Http2Fault */
  #isNew(streamId: number): boolean {
    if (streamId % 2 === 0) throw new Http2Fault(ErrorCode.protocolError, 'its streams have even numbers');
    if (streamId <= this.lastId) throw new Http2Fault(ErrorCode.streamClosed, 'it begins a stream twice');
    if (this.#state === 'finishing') return false;
    this.lastId = streamId;
    return true;
  }

  #refusal(block: HeaderBlock): number | undefined {
    if (this.#checked !== block && !isRequest(block)) return ErrorCode.protocolError;
    this.#checked = block;
    if (this.streams.size >= this.#limits.maxStreams) return ErrorCode.refusedStream;
    return this.isFull ? ErrorCode.enhanceYourCalm : undefined;
  }

  #refuse(streamId: number, code: number): void {
    this.#resets.spend();
    this.control.reset(streamId, code);
  }

  onMalformed(streamId: number, { code }: MalformedHeaders): void {
    const known = this.streams.get(streamId);
    if (known !== undefined) known.fail(code);
    else if (this.#isNew(streamId)) this.#refuse(streamId, code);
  }

  override onReset(streamId: number, code: number): void {
    this.#resets.spend();
    super.onReset(streamId, code);
  }

  /** A fault of the other side that costs it one stream; nobody may make us do that without end. */
  override failed(stream: Http2Stream, code: number): void {
    super.failed(stream, code);
    this.#resets.spend();
  }

  /** Nobody heeds what clients say about themselves. */
  onAcknowledged(): void {}

  onPong(): void {
    if (this.#state === 'goodbye') this.#finishing();
    this.#listener.onPong();
  }

  /** It begins no new streams, and needs no goodbye; those that run end as they would. */
  onGoAway(): void {
    if (this.#state === 'serving') this.#state = 'goodbye';
    this.#finishing();
  }

  protected wasBegun(streamId: number): boolean {
    return (streamId <= this.lastId || this.#state === 'finishing') && streamId % 2 === 1;
  }

  /** The answer is complete before the request: nobody will read the rest. */
  sent(stream: Http2Stream): void {
    stream.reset(ErrorCode.noError);
  }
}
