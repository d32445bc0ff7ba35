import { randomUUID } from 'node:crypto';
import { type CallContext, type CallHeaders, type CallSpan, Code } from '../sdk/index.ts';
import { type Evidence, FORWARDED_HEADERS, type Principal } from './access/principal.ts';
import { DEADLINE_EXCEEDED } from './deadline.ts';
import { type Indexed, NOWHERE } from './indexed-set.ts';
import type { CallObservation } from './observe/call-observation.ts';
import { StatusError } from './status-error.ts';

/** Where a call comes from and how long it may take; all that is needed to make a {@link Call}. */
export interface CallInit {
  /** Metadata as the transport holds it; converted on first use only, because most methods never look. */
  readonly readHeaders: () => CallHeaders;
  readonly deadlineMs?: number | undefined;
  /** Address of the caller; asked for on first use, since reading it from a socket is not free. */
  readonly readPeer: () => string;
  /** Id of the plugin that calls, when the caller is one. */
  readonly caller?: string | undefined;
  /** The calling plugin runs outside the kernel's thread, where its host object may be another than ours. */
  readonly isForeign?: boolean | undefined;
  /** What a caller from outside shows of itself. */
  readonly evidence?: Evidence | undefined;
  /** Tells the transport's cancellation; called at most once, when somebody first asks for the signal. */
  readonly onCancelled?: (listener: () => void) => void;
}

/**
 * One call on its way through the kernel: the context a service implementation sees, and what interceptors need.
 *
 * @remarks Signal, headers and ids are made when first read: on the echo path they would cost more than the dispatch.
 */
export class Call implements CallContext, Indexed {
  index: number = NOWHERE;
  readonly deadlineMs: number | undefined;
  readonly caller: string | undefined;
  readonly isForeign: boolean;
  /** Who calls from outside; set once the caller is identified. */
  principal: Principal | undefined;
  /** What is noted of the call; `undefined` while nobody wants to know. */
  observation: CallObservation | undefined;
  readonly startedNs: bigint = process.hrtime.bigint();
  readonly #init: CallInit;
  #headers: CallHeaders | undefined;
  #requestId: string | undefined;
  #responseHeaders: CallHeaders | undefined;
  #responseTrailers: CallHeaders | undefined;
  #controller: AbortController | undefined;
  #abortReason: unknown;
  #isListening = false;
  #abortListeners: ((reason: unknown) => void)[] | undefined;
  /** Nobody's word for who is calling reaches a plugin unless it was checked. */
  #withheld: readonly string[] = FORWARDED_HEADERS;
  /** Sends the response headers now; set by transports that can. */
  flushHeaders: (() => void) | undefined;

  constructor(init: CallInit) {
    this.#init = init;
    this.deadlineMs = init.deadlineMs;
    this.caller = init.caller;
    this.isForeign = init.isForeign === true;
  }

  get peer(): string {
    return this.caller ?? this.#init.readPeer();
  }

  get span(): CallSpan | undefined {
    return this.observation?.trace?.span;
  }

  get headers(): CallHeaders {
    if (this.#headers === undefined) {
      this.#headers = this.#init.readHeaders();
      for (const name of this.#withheld) this.#headers.delete(name);
    }
    return this.#headers;
  }

  /** What the caller shows of itself; nothing when no transport says. */
  get evidence(): Evidence {
    return this.#init.evidence ?? NO_EVIDENCE;
  }

  /** Keeps headers from everybody who reads them from now on. */
  withhold(names: readonly string[]): void {
    this.#withheld = names;
    for (const name of names) this.#headers?.delete(name);
  }

  get requestId(): string {
    if (this.#requestId === undefined) {
      const sent = this.headers.get('x-request-id');
      this.#requestId = typeof sent === 'string' && /^[\w.:-]{1,128}$/.test(sent) ? sent : randomUUID();
    }
    return this.#requestId;
  }

  get responseHeaders(): CallHeaders {
    this.#responseHeaders ??= new Map();
    return this.#responseHeaders;
  }

  get responseTrailers(): CallHeaders {
    this.#responseTrailers ??= new Map();
    return this.#responseTrailers;
  }

  /** Response headers if any were set, without making an empty map. */
  get setHeaders(): CallHeaders | undefined {
    return this.#responseHeaders;
  }

  /** Response trailers if any were set. */
  get setTrailers(): CallHeaders | undefined {
    return this.#responseTrailers;
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      const controller = new AbortController();
      this.#controller = controller;
      if (this.#abortReason === undefined) this.#listen();
      else controller.abort(this.#abortReason);
    }
    return this.#controller.signal;
  }

  /** Tells when the call is aborted, without making a signal for it: that costs as much as a fifth of a call. */
  onAbort(listener: (reason: unknown) => void): void {
    if (this.#abortReason !== undefined) {
      listener(this.#abortReason);
      return;
    }
    this.#abortListeners ??= [];
    this.#abortListeners.push(listener);
    this.#listen();
  }

  #listen(): void {
    if (this.#isListening) return;
    this.#isListening = true;
    // Transports say so at the end of every call too, when nobody listens any more.
    this.#init.onCancelled?.(() =>
      this.abort(this.remainingMs(Date.now()) === 0 ? DEADLINE_EXCEEDED : CANCELLED),
    );
  }

  /** Ends the call from the kernel's side; implementations see it through their signal. */
  abort(reason: unknown): void {
    this.#abortReason ??= reason;
    this.#controller?.abort(this.#abortReason);
    for (const listener of this.#abortListeners?.splice(0) ?? []) listener(this.#abortReason);
  }

  /** Why the call was ended before it was done; asks the transport where nobody has asked before. */
  get abortReason(): unknown {
    this.#listen();
    return this.#abortReason;
  }

  /** @throws why the call was ended while it waited for its turn */
  throwIfAborted(): void {
    if (this.#abortReason !== undefined) throw this.#abortReason as Error;
  }

  /** What a failure means to the caller: an implementation that was told to stop says only "aborted", the call knows why. */
  explain(error: unknown): unknown {
    const isAbort = error instanceof Error && error.name === 'AbortError';
    return isAbort && this.#abortReason !== undefined ? this.#abortReason : error;
  }

  /** The call is over: whatever still waits on its signal is told to stop. Transports' late word of the end is no abort. */
  end(): void {
    this.#abortListeners = undefined;
    this.#controller?.abort(CANCELLED);
  }

  /** Time left until the deadline in milliseconds, never negative; `undefined` without one. */
  remainingMs(nowMs: number): number | undefined {
    return this.deadlineMs === undefined ? undefined : Math.max(0, this.deadlineMs - nowMs);
  }
}

const NO_EVIDENCE: Evidence = {
  header: () => undefined,
  certificateNames: () => undefined,
  peer: () => '',
};

/** The status of a call whose caller went away. One for all calls: an error with its stack costs microseconds. */
export const CANCELLED: StatusError = new StatusError({
  code: Code.CANCELLED,
  message: 'The caller cancelled the call.',
});
