import type { IncomingMessage, Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { performance } from 'node:perf_hooks';
import { isDeclaredError, type Logger } from '../../sdk/index.ts';
import type { Admission } from '../access/access.ts';
import { isLoopbackAddress } from '../access/loopback.ts';
import { PortInUse } from '../errors.ts';
import type { Certificates } from './certificates.ts';
import { HttpConnections } from './http-connections.ts';
import { errorResponse } from './http-error-response.ts';
import { ExchangeState, type HttpExchange, type RawExchange } from './http-exchange.ts';
import { HttpClientGone } from './http-errors.ts';
import { checkBrowser } from './http-guard.ts';
import { type HttpMount, HttpMounts, type MountContext, type MountHandler } from './http-mounts.ts';
import { type HttpListenerLimits, withDefaultLimits } from './http-limits.ts';
import { checkLength, requestUrl, toRequest } from './http-request.ts';
import { sendResponse } from './http-response.ts';
import { createHttpServer } from './http-server.ts';

/** Passes a request on, or answers it itself: authorisation, limits, traces. */
export type HttpInterceptor = (
  request: Request,
  context: MountContext,
  next: () => Promise<Response>,
) => Response | Promise<Response>;

/** Decides about a request before anything of it is read but its head; throws to refuse it. */
export type HttpAdmission = (
  incoming: IncomingMessage,
  url: URL,
) => Partial<Admission> | Promise<Partial<Admission>>;

/** Options of {@link HttpListener}. */
export interface HttpListenerOptions {
  /** What the address is for, in messages: `http` or `metrics`. */
  readonly name: string;
  /** Address to listen on. */
  readonly host: string;
  /** Port; 0 takes a free one. */
  readonly port: number;
  readonly log: Logger;
  readonly limits?: Partial<HttpListenerLimits>;
  /** Host names beside those of the loopback; default `*` unless the address is the loopback. */
  readonly allowedHosts?: readonly string[];
  /** Origins whose pages may send more than GET. */
  readonly allowedOrigins?: readonly string[];
  /** Serves TLS with them; plain text without. */
  readonly certificates?: Certificates | undefined;
  /** Asked before every request; without it all are let in. */
  readonly admit?: HttpAdmission;
  /** Run around every request in the order of the list. */
  readonly interceptors?: readonly HttpInterceptor[];
  /** Told of every exchange when it is over. */
  readonly observe?: (exchange: HttpExchange) => void;
}

/** Where a listener listens. */
export interface HttpAddress {
  readonly host: string;
  readonly port: number;
}

/** One HTTP/1.1 server on which plugins mount web-standard handlers under a prefix. */
export class HttpListener {
  readonly #options: HttpListenerOptions;
  readonly #limits: HttpListenerLimits;
  readonly #server: Server;
  readonly #mounts: HttpMounts = new HttpMounts();
  readonly #connections: HttpConnections = new HttpConnections();
  readonly #running: Set<AbortController> = new Set();
  #isClosing = false;

  constructor(options: HttpListenerOptions) {
    this.#options = options;
    this.#limits = withDefaultLimits(options.limits);
    this.#server = createHttpServer(this.#limits, options.certificates);
    const connected = options.certificates === undefined ? 'connection' : 'secureConnection';
    this.#server.on(connected, (socket: Socket) => this.#connections.add(socket));
    this.#server.on('clientError', (error, socket) => this.#connections.refuse(error, socket));
    this.#server.on(
      'request',
      (incoming, outgoing) => void this.#exchange({ incoming, outgoing, isWaiting: false }),
    );
    this.#server.on(
      'checkContinue',
      (incoming, outgoing) => void this.#exchange({ incoming, outgoing, isWaiting: true }),
    );
  }

  /** @throws PORT_IN_USE */
  async listen(): Promise<HttpAddress> {
    const { host, port, name } = this.#options;
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', (error: NodeJS.ErrnoException) => {
        const isTaken = error.code === 'EADDRINUSE';
        reject(isTaken ? new PortInUse({ name, address: `${host}:${port}` }, { cause: error }) : error);
      });
      this.#server.listen({ host, port }, resolve);
    });
    return { host, port: (this.#server.address() as AddressInfo).port };
  }

  /** See {@link HttpMounts.add}. */
  mount(prefix: string, handler: MountHandler, owner: string): HttpMount {
    return this.#mounts.add(prefix, handler, owner);
  }

  /** Takes no new connection, lets running requests end for `graceMs`, then ends the rest. */
  async close(graceMs = 0): Promise<void> {
    this.#isClosing = true;
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#connections.closeIdle();
    const timer = setTimeout(() => {
      for (const abort of this.#running) abort.abort(new DOMException('The kernel stops.', 'AbortError'));
      this.#connections.closeAll();
    }, graceMs);
    await closed;
    clearTimeout(timer);
  }

  async #exchange(raw: RawExchange): Promise<void> {
    const { incoming, outgoing } = raw;
    const startedMs = performance.now();
    const state = new ExchangeState(incoming);
    this.#connections.begin(incoming.socket, outgoing);
    this.#running.add(state.abort);
    outgoing.once('close', () => {
      if (!outgoing.writableFinished) state.abort.abort(new HttpClientGone({}));
      if (this.#isClosing) this.#connections.closeIdle();
    });
    try {
      const response = await this.#answer(raw, state);
      await this.#send(response, raw, state);
    } catch (error) {
      this.#logFailure(error, state);
    } finally {
      state.mount?.leave(state.abort);
      for (const listener of state.endListeners) listener();
      this.#running.delete(state.abort);
      this.#dropRest(incoming, state);
      this.#options.observe?.(state.summary(performance.now() - startedMs));
    }
  }

  /** The handler's answer, or the one that says why there is none. */
  async #answer(raw: RawExchange, state: ExchangeState): Promise<Response> {
    try {
      return await this.#handle(raw, state);
    } catch (error) {
      state.fail(error);
      if (!isDeclaredError(error)) this.#logFailure(error, state);
      return errorResponse(error, state.requestId);
    }
  }

  async #handle(raw: RawExchange, state: ExchangeState): Promise<Response> {
    const { incoming, outgoing } = raw;
    const url = requestUrl(incoming);
    state.path = url.pathname;
    checkBrowser(incoming, url, {
      allowedHosts: this.#options.allowedHosts ?? (isLoopbackAddress(this.#options.host) ? [] : ['*']),
      allowedOrigins: this.#options.allowedOrigins ?? [],
    });
    const { principal, withheld = [] } = (await this.#options.admit?.(incoming, url)) ?? {};
    state.principal = principal?.name;
    const mount = this.#mounts.find(url.pathname);
    const { requestId } = state;
    const { signal } = state.abort;
    checkLength(incoming, this.#limits);
    if (raw.isWaiting) {
      raw.isWaiting = false;
      outgoing.writeContinue();
    }
    const made = toRequest({ incoming, url, requestId, signal, limits: this.#limits, withheld });
    state.endBody = () => made.endBody();
    state.requestBytes = () => made.receivedBytes();
    state.mount = mount;
    mount.enter(state.abort);
    const onEnd: MountContext['onEnd'] = (listener) => void state.endListeners.push(listener);
    const onServed: MountContext['onServed'] = (instance) => (state.served = instance);
    const { owner } = mount;
    const context: MountContext = { signal, peer: state.peer, owner, onEnd, onServed };
    const response = await this.#chain(made.request, context, mount.handler);
    if (!(response instanceof Response)) {
      throw new TypeError(
        `The HTTP handler of '${mount.owner}' answered with something that is no Response.`,
      );
    }
    return response;
  }

  async #chain(request: Request, context: MountContext, handler: MountHandler): Promise<Response> {
    const interceptors = this.#options.interceptors ?? [];
    const step = async (index: number): Promise<Response> => {
      const interceptor = interceptors[index];
      return interceptor === undefined
        ? handler(request, context)
        : interceptor(request, context, () => step(index + 1));
    };
    return step(0);
  }

  async #send(
    response: Response,
    { incoming, outgoing, isWaiting }: RawExchange,
    state: ExchangeState,
  ): Promise<void> {
    if (outgoing.destroyed) {
      await response.body?.cancel();
      return;
    }
    state.status = response.status;
    outgoing.setHeader('x-request-id', state.requestId);
    // A client that still waits for leave to send its body never will; one of a closing listener must go elsewhere.
    if (this.#isClosing || isWaiting) outgoing.setHeader('connection', 'close');
    state.responseBytes = await sendResponse(response, outgoing, {
      isHeadOnly: incoming.method === 'HEAD',
      stallTimeoutMs: this.#limits.stallTimeoutMs,
      signal: state.abort.signal,
    });
  }

  /**
   * Reads and drops what is left of a body for a while: closing at once would reset the connection and the client
   * would never read why it was refused.
   */
  #dropRest(incoming: IncomingMessage, state: ExchangeState): void {
    state.endBody();
    if (incoming.complete || incoming.destroyed) return;
    const timer = setTimeout(() => incoming.destroy(), this.#limits.lingerMs);
    incoming.once('close', () => clearTimeout(timer));
    incoming.resume();
  }

  #logFailure(error: unknown, { abort, requestId, mount, path }: ExchangeState): void {
    if (abort.signal.aborted) return;
    this.#options.log.error('HTTP request failed', { error, requestId, path, owner: mount?.owner });
  }
}
