import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Code, isDeclaredError } from '../../sdk/index.ts';
import type { Instance } from '../loader/instance.ts';
import { HttpClientGone } from './http-errors.ts';
import type { ActiveMount } from './http-mounts.ts';

/** One answered request, for counting and the access log. */
export interface HttpExchange {
  readonly method: string;
  /** Path without query; a query may hold secrets. */
  readonly path: string;
  /** Plugin that answered; empty when the listener itself did. */
  readonly owner: string;
  /** The instance that answered. */
  readonly served: Pick<Instance, 'version' | 'isolation'> | undefined;
  /** Name of the caller; `undefined` when it was refused before it was known. */
  readonly principal: string | undefined;
  readonly status: number;
  /** Reason of a request that was refused or failed by a declared error. */
  readonly reason: string | undefined;
  readonly requestBytes: number;
  readonly responseBytes: number;
  readonly durationMs: number;
  readonly requestId: string;
  readonly peer: string;
  /** As the caller sent it. */
  readonly traceparent: string | undefined;
  /** Who ended the exchange before it was complete. */
  readonly cancelledBy: 'caller' | 'kernel' | undefined;
}

/** A request and where its answer goes. */
export interface RawExchange {
  readonly incoming: IncomingMessage;
  readonly outgoing: ServerResponse;
  /** The client sent `Expect: 100-continue` and has not been told to go on. */
  isWaiting: boolean;
}

const REQUEST_ID = /^[\w.:-]{1,128}$/;

/** The status of a client that left, as nginx counts it. */
const CLIENT_LEFT = 499;

/** What is known of a request while it is answered. */
export class ExchangeState {
  readonly abort: AbortController = new AbortController();
  readonly requestId: string;
  readonly peer: string;
  path = '';
  mount: ActiveMount | undefined;
  served: Instance | undefined;
  principal: string | undefined;
  status: number = CLIENT_LEFT;
  requestBytes: () => number = () => 0;
  responseBytes = 0;
  readonly endListeners: (() => void)[] = [];
  endBody: () => void = () => undefined;
  #reason: string | undefined;
  readonly #incoming: IncomingMessage;

  constructor(incoming: IncomingMessage) {
    this.#incoming = incoming;
    const sent = incoming.headers['x-request-id'];
    this.requestId = typeof sent === 'string' && REQUEST_ID.test(sent) ? sent : randomUUID();
    this.peer = `${incoming.socket.remoteAddress ?? ''}:${incoming.socket.remotePort ?? ''}`;
  }

  /** The request failed by this. */
  fail(error: unknown): void {
    if (!isDeclaredError(error)) return;
    this.#reason = error.reason;
    // Who was known and refused is named by the refusal.
    if (error.code === Code.PERMISSION_DENIED) this.principal ??= error.metadata['principal'];
  }

  /** The exchange as it ended. */
  summary(durationMs: number): HttpExchange {
    const { method = '', headers } = this.#incoming;
    const { traceparent } = headers;
    const { path, served, principal, status, responseBytes, requestId, peer } = this;
    return {
      method,
      path,
      owner: this.mount?.owner ?? '',
      served,
      principal,
      status,
      reason: this.#reason,
      requestBytes: this.requestBytes(),
      responseBytes,
      durationMs,
      requestId,
      peer,
      traceparent: typeof traceparent === 'string' ? traceparent : undefined,
      cancelledBy: this.#cancelledBy(),
    };
  }

  #cancelledBy(): HttpExchange['cancelledBy'] {
    const { aborted, reason } = this.abort.signal;
    if (!aborted) return undefined;
    return reason instanceof HttpClientGone ? 'caller' : 'kernel';
  }
}
