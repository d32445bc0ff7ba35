import { StatusError } from '../status-error.ts';
import type { CallHeaders } from '../../sdk/index.ts';
import { NOWHERE } from '../indexed-set.ts';
import type { Deadlines, Expiring } from '../wire/deadlines.ts';
import { LinkDeadlineExceeded } from '../link/errors.ts';
import { abortError } from '../link/link-call.ts';
import type { AnswerListener, LinkCallOptions, LinkUnaryResult } from '../link/link-client.ts';
import { toStatus } from '../server/status.ts';
import { Inlet, Outlet } from './flow.ts';
import { type EndFrame, type Frame, packedStatus } from './frames.ts';

/** A frame that answers a call of ours. */
export type AnswerFrame = Extract<Frame, { kind: 'message' | 'headers' | 'end' | 'fail' | 'credit' }>;

/** What a call needs of the port it runs on. */
export interface CallerParts {
  readonly id: number;
  readonly post: (frame: Frame) => void;
  readonly deadlines: Deadlines;
  /** Called once when the call is over. */
  readonly onOver: () => void;
}

const NO_HEADERS: CallHeaders = new Map();

/** The caller's half of a call: ends it once, by answer, failure, deadline or cancellation. */
export abstract class PortCaller implements Expiring {
  readonly deadlineMs: number | undefined;
  expiresAtMs: number = Infinity;
  index: number = NOWHERE;
  protected readonly parts: CallerParts;
  readonly #options: LinkCallOptions;
  readonly #onAbort: (() => void) | undefined;
  #isOver = false;

  constructor(parts: CallerParts, options: LinkCallOptions) {
    this.parts = parts;
    this.#options = options;
    this.deadlineMs = options.deadlineMs;
    parts.deadlines.add(this);
    const { signal } = options;
    if (signal !== undefined) {
      this.#onAbort = () => this.cancel(abortError(signal.reason));
      signal.addEventListener('abort', this.#onAbort, { once: true });
    }
    options.onCancellable?.((reason) => this.cancel(abortError(reason)));
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  abstract onFrame(frame: AnswerFrame): void;

  protected abstract onOver(error: Error | undefined): void;

  /** Ends the call from this side and tells the other one. */
  cancel(error: Error): void {
    if (this.#isOver) return;
    const status = packedStatus(toStatus(error, () => ''));
    this.parts.post({ kind: 'cancel', id: this.parts.id, status });
    this.settle(error);
  }

  expire(): void {
    this.cancel(new LinkDeadlineExceeded({}));
  }

  settle(error: Error | undefined): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.parts.deadlines.remove(this);
    if (this.#onAbort !== undefined) this.#options.signal?.removeEventListener('abort', this.#onAbort);
    this.parts.onOver();
    this.onOver(error);
  }
}

/** How a unary call is told its end. */
export interface UnaryOutcome {
  readonly resolve: (result: LinkUnaryResult) => void;
  readonly reject: (error: Error) => void;
}

/** A call with one request and one answer. */
export class UnaryCaller extends PortCaller {
  readonly #outcome: UnaryOutcome;
  #end: EndFrame | undefined;

  constructor(parts: CallerParts, options: LinkCallOptions, outcome: UnaryOutcome) {
    super(parts, options);
    this.#outcome = outcome;
  }

  onFrame(frame: AnswerFrame): void {
    if (frame.kind === 'end') {
      this.#end = frame;
      this.settle(undefined);
    } else if (frame.kind === 'fail') this.settle(new StatusError(frame.status));
  }

  protected onOver(error: Error | undefined): void {
    const { bytes, headers, trailers } = this.#end ?? {};
    if (error !== undefined || bytes === undefined) {
      this.#outcome.reject(error ?? new Error('A unary call ended without an answer.'));
      return;
    }
    this.#outcome.resolve({
      message: bytes,
      headers: headers ?? NO_HEADERS,
      trailers: trailers ?? NO_HEADERS,
    });
  }
}

/** A call of any other kind. */
export class StreamCaller extends PortCaller {
  readonly answers: Inlet;
  readonly requests: Outlet;
  readonly #listener: AnswerListener;

  constructor(
    parts: CallerParts,
    options: LinkCallOptions & AnswerListener,
    send: (bytes: Uint8Array) => void,
  ) {
    super(parts, options);
    this.#listener = options;
    this.requests = new Outlet(send);
    this.answers = new Inlet((bytes) => parts.post({ kind: 'credit', id: parts.id, bytes }));
  }

  onFrame(frame: AnswerFrame): void {
    switch (frame.kind) {
      case 'message':
        this.answers.push(frame.bytes);
        break;
      case 'credit':
        this.requests.grant(frame.bytes);
        break;
      case 'headers':
        this.#listener.onHeaders?.(frame.headers);
        break;
      case 'end':
        if (frame.trailers !== undefined) this.#listener.onTrailers?.(frame.trailers);
        this.settle(undefined);
        break;
      case 'fail':
        this.settle(new StatusError(frame.status));
        break;
    }
  }

  protected onOver(error: Error | undefined): void {
    this.answers.end(error);
    this.requests.stop();
  }

  /** Sends the requests; what goes wrong with them ends the call. */
  async send(requests: AsyncIterable<Uint8Array>): Promise<void> {
    try {
      const isComplete = await this.requests.drain(requests);
      if (isComplete && !this.isOver) this.parts.post({ kind: 'half', id: this.parts.id });
    } catch (error) {
      this.cancel(abortError(error));
    }
  }
}
