import type { IncomingMessage } from 'node:http';
import { TLSSocket } from 'node:tls';
import { HttpBodyTimeout, HttpBodyTooLarge, HttpClientGone, HttpRequestInvalid } from './http-errors.ts';

/** Limits on what a client may send as a body. */
export interface HttpBodyLimits {
  /** Most bytes of a body. */
  readonly maxBodyBytes: number;
  /** Longest time without a byte while the handler waits for one, in milliseconds. */
  readonly bodyIdleTimeoutMs: number;
}

/** Methods that the fetch standard forbids in a `Request`. */
const FORBIDDEN_METHODS: ReadonlySet<string> = new Set(['CONNECT', 'TRACE', 'TRACK']);

/** A host with an optional port and nothing else; what is more would move the path or the host of the URL. */
const HOST = /^(?:[a-z0-9._-]{1,253}|\[[0-9a-f:.]{2,45}\])(?::\d{1,5})?$/i;

/**
 * The URL a request asks for, normalised: `..` segments are gone before a route is chosen.
 *
 * @throws HTTP_REQUEST_INVALID
 */
export function requestUrl(incoming: IncomingMessage): URL {
  const target = incoming.url ?? '';
  const host = incoming.headers.host ?? 'localhost';
  if (!HOST.test(host)) throw new HttpRequestInvalid({ problem: 'its Host header is not a host name' });
  const scheme = schemeOf(incoming);
  // Joined as text: `new URL('//evil/x', base)` would take "evil" for the host.
  const text = target.startsWith('/') ? `${scheme}//${host}${target}` : target;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const hasLogin = url !== undefined && `${url.username}${url.password}` !== '';
  if (url === undefined || url.protocol !== scheme || hasLogin) {
    throw new HttpRequestInvalid({ problem: 'its target is not a path or a URL of this listener' });
  }
  return url;
}

function schemeOf({ socket }: IncomingMessage): 'https:' | 'http:' {
  return socket instanceof TLSSocket ? 'https:' : 'http:';
}

/** What {@link toRequest} makes a request from. */
export interface RequestParts {
  readonly incoming: IncomingMessage;
  readonly url: URL;
  readonly requestId: string;
  readonly signal: AbortSignal;
  readonly limits: HttpBodyLimits;
  /** Names of headers that are left out. */
  readonly withheld?: readonly string[];
}

/** A request, and the way to end its body. */
export interface IncomingRequest {
  readonly request: Request;
  /** Ends a body that was not read to its end: the answer is out, nobody waits for the rest. */
  endBody(): void;
  /** Bytes of the body that were read. */
  receivedBytes(): number;
}

/**
 * The web-standard request for a handler; its body is read from the socket as the handler reads it. HEAD reaches the
 * handler as GET, since the listener drops the answer's body.
 *
 * @throws HTTP_REQUEST_INVALID, HTTP_BODY_TOO_LARGE
 */
export function toRequest(parts: RequestParts): IncomingRequest {
  const { incoming, url, requestId, signal, limits } = parts;
  const method = (incoming.method ?? 'GET').toUpperCase();
  if (FORBIDDEN_METHODS.has(method))
    throw new HttpRequestInvalid({ problem: `method ${method} is not served` });
  checkLength(incoming, limits);
  const headers = headersOf(incoming, requestId);
  for (const name of parts.withheld ?? []) headers.delete(name);
  const hasBody = method !== 'GET' && method !== 'HEAD' && carriesBody(incoming);
  const source = hasBody ? new BodySource(incoming, limits) : undefined;
  const request = new Request(url, {
    method: method === 'HEAD' ? 'GET' : method,
    headers,
    signal,
    ...(source !== undefined && { body: new ReadableStream(source, { highWaterMark: 0 }), duplex: 'half' }),
  });
  return { request, endBody: () => source?.end(), receivedBytes: () => source?.receivedBytes ?? 0 };
}

function headersOf({ rawHeaders }: IncomingMessage, requestId: string): Headers {
  const headers = new Headers();
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    headers.append(rawHeaders[index] ?? '', rawHeaders[index + 1] ?? '');
  }
  headers.set('x-request-id', requestId);
  return headers;
}

function carriesBody(incoming: IncomingMessage): boolean {
  const length = incoming.headers['content-length'];
  return incoming.headers['transfer-encoding'] !== undefined || (length !== undefined && length !== '0');
}

/** @throws HTTP_BODY_TOO_LARGE when the announced length already says so, before a byte is read. */
export function checkLength(incoming: IncomingMessage, { maxBodyBytes }: HttpBodyLimits): void {
  if (Number(incoming.headers['content-length'] ?? 0) > maxBodyBytes) {
    throw new HttpBodyTooLarge({ limit: String(maxBodyBytes) });
  }
}

/** Reads the body chunk by chunk on demand; the socket is paused while the handler does not read. */
class BodySource {
  readonly #incoming: IncomingMessage;
  readonly #limits: HttpBodyLimits;
  receivedBytes = 0;
  #isDone = false;
  #timer: NodeJS.Timeout | undefined;
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;

  constructor(incoming: IncomingMessage, limits: HttpBodyLimits) {
    this.#incoming = incoming;
    this.#limits = limits;
  }

  start(controller: ReadableStreamDefaultController<Uint8Array>): void {
    this.#controller = controller;
    const incoming = this.#incoming;
    incoming.on('data', (chunk: Uint8Array) => this.#receive(chunk));
    incoming.on('end', () => this.#finish((open) => open.close()));
    incoming.on('error', (cause) => this.#fail(() => new HttpClientGone({}, { cause })));
    incoming.on('close', () => this.#fail(() => new HttpClientGone({})));
    incoming.pause();
  }

  pull(): void {
    const timeoutMs = this.#limits.bodyIdleTimeoutMs;
    this.#timer = setTimeout(
      () => this.#fail(() => new HttpBodyTimeout({ timeoutMs: String(timeoutMs) })),
      timeoutMs,
    );
    this.#incoming.resume();
  }

  /** The handler wants no more: what still comes is read and dropped, so that the connection can be used again. */
  cancel(): void {
    this.#finish(() => undefined);
    this.#incoming.resume();
  }

  end(): void {
    this.#fail(() => new TypeError('The answer was complete before the request body was read to its end.'));
  }

  #receive(chunk: Uint8Array): void {
    if (this.#isDone) return;
    clearTimeout(this.#timer);
    this.receivedBytes += chunk.byteLength;
    if (this.receivedBytes > this.#limits.maxBodyBytes) {
      this.#fail(() => new HttpBodyTooLarge({ limit: String(this.#limits.maxBodyBytes) }));
      return;
    }
    this.#incoming.pause();
    this.#controller?.enqueue(chunk);
  }

  /** The error is made where it is needed: after each request that was read whole there is none. */
  #fail(error: () => Error): void {
    this.#finish((open) => open.error(error()));
  }

  #finish(action: (open: ReadableStreamDefaultController<Uint8Array>) => void): void {
    clearTimeout(this.#timer);
    if (this.#isDone || this.#controller === undefined) return;
    this.#isDone = true;
    action(this.#controller);
  }
}
