import type { MessagePort } from 'node:worker_threads';
import { Deadlines } from '../wire/deadlines.ts';
import { LinkDeadlineExceeded } from '../link/errors.ts';
import { abortError } from '../link/link-call.ts';
import type { AnswerListener, Link, LinkCallOptions, LinkUnaryResult } from '../link/link-client.ts';
import { fromStatus, toStatus } from '../server/status.ts';
import { StatusError } from '../status-error.ts';
import type { Target } from '../target.ts';
import { type AnswerFrame, type CallerParts, type PortCaller, StreamCaller, UnaryCaller } from './caller.ts';
import { BrokenFrame, checkedFrame, type Frame, packed, packedHeaders, packedStatus } from './frames.ts';
import { PortServer, type RequestFrame } from './server.ts';

/** Options of {@link PortPeer}. */
export interface PortPeerOptions {
  /** Whose numbers this side's calls have. */
  readonly side: 'kernel' | 'worker';
  /** Serves the other side's calls. */
  readonly target: Target;
  /** Id of the plugin on the other side, when there is one. */
  readonly caller?: string;
  /** Answers the other side's questions; throws to refuse. */
  readonly answer: (name: string, value: unknown) => unknown;
  /** Told once when the other side sends what is no frame; nothing is taken from it afterwards. */
  readonly onBroken?: (problem: string) => void;
}

interface Question {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * One end of a message port over which kernel and worker call each other: all four kinds of methods with deadlines,
 * cancellation, metadata and flow control, beside plain questions about the instance itself.
 */
export class PortPeer implements Link {
  readonly #port: MessagePort;
  readonly #options: PortPeerOptions;
  readonly #deadlines: Deadlines = new Deadlines();
  readonly #calls: Map<number, PortCaller> = new Map();
  readonly #served: Map<number, PortServer> = new Map();
  readonly #questions: Map<number, Question> = new Map();
  #nextId: number;
  #failure: Error | undefined;
  #isBroken = false;

  constructor(port: MessagePort, options: PortPeerOptions) {
    this.#port = port;
    this.#options = options;
    this.#nextId = options.side === 'kernel' ? 1 : 2;
    port.on('message', (frame: unknown) => this.#receive(frame));
  }

  async unary(path: string, request: Uint8Array, options: LinkCallOptions = {}): Promise<LinkUnaryResult> {
    this.#check(options);
    return new Promise((resolve, reject) => {
      const parts = this.#parts();
      const call = new UnaryCaller(parts, options, { resolve, reject });
      if (call.isOver) return;
      this.#calls.set(parts.id, call);
      const { bytes, transfer } = packed(request);
      const headers = packedHeaders(options.headers);
      const { deadlineMs } = options;
      this.#post({ kind: 'open', id: parts.id, path, headers, deadlineMs, bytes }, transfer);
    });
  }

  async *stream(
    path: string,
    requests: AsyncIterable<Uint8Array>,
    options: LinkCallOptions & AnswerListener = {},
  ): AsyncGenerator<Uint8Array> {
    this.#check(options);
    const parts = this.#parts();
    const { id } = parts;
    const call = new StreamCaller(parts, options, (bytes) => {
      const { bytes: own, transfer } = packed(bytes);
      this.#post({ kind: 'message', id, bytes: own }, transfer);
    });
    if (!call.isOver) {
      this.#calls.set(id, call);
      const headers = packedHeaders(options.headers);
      this.#post({ kind: 'open', id, path, headers, deadlineMs: options.deadlineMs });
      void call.send(requests);
    }
    try {
      yield* call.answers;
    } finally {
      // Changes nothing unless the consumer has left before the end.
      call.cancel(abortError(undefined));
    }
  }

  /** Asks the other side something about the instance. @throws what it refused with. */
  async ask(name: string, value: unknown): Promise<unknown> {
    if (this.#failure !== undefined) throw this.#failure;
    return new Promise((resolve, reject) => {
      const id = this.#takeId();
      this.#questions.set(id, { resolve, reject });
      this.#post({ kind: 'ask', id, name, value });
    });
  }

  /** Says something that needs no answer. */
  tell(name: string, value: unknown): void {
    this.#post({ kind: 'tell', name, value });
  }

  /** Number of calls of the other side that run here. */
  get servedCount(): number {
    return this.#served.size;
  }

  /** The other side is gone: everything that waits for it fails, and everything it waits for is told to stop. */
  fail(error: Error): void {
    this.#failure ??= error;
    for (const call of this.#calls.values()) call.settle(error);
    for (const { reject } of this.#questions.values()) reject(error);
    this.#questions.clear();
    for (const served of this.#served.values()) served.abort(error);
    this.#deadlines.clear();
    this.#port.close();
  }

  #check({ deadlineMs, signal }: LinkCallOptions): void {
    if (this.#failure !== undefined) throw this.#failure;
    if (signal?.aborted === true) throw abortError(signal.reason);
    if (deadlineMs !== undefined && deadlineMs <= Date.now()) throw new LinkDeadlineExceeded({});
  }

  #takeId(): number {
    const id = this.#nextId;
    this.#nextId += 2;
    return id;
  }

  #parts(): CallerParts {
    const id = this.#takeId();
    return {
      id,
      post: (frame) => this.#post(frame),
      deadlines: this.#deadlines,
      onOver: () => this.#calls.delete(id),
    };
  }

  #post(frame: Frame, transfer?: ArrayBuffer[]): void {
    if (transfer === undefined || transfer.length === 0) this.#port.postMessage(frame);
    else this.#port.postMessage(frame, transfer);
  }

  /** An error that leaves a message handler would end the thread. */
  #receive(received: unknown): void {
    if (this.#isBroken) return;
    try {
      this.#onFrame(checkedFrame(received));
    } catch (error) {
      this.#isBroken = true;
      const isKnown = error instanceof BrokenFrame;
      this.#options.onBroken?.(isKnown ? error.message : 'a frame could not be taken');
    }
  }

  #onFrame(frame: Frame): void {
    switch (frame.kind) {
      case 'open':
        this.#serve(frame);
        break;
      case 'ask':
        void this.#answer(frame.id, frame.name, frame.value);
        break;
      case 'answer':
        this.#answered(frame);
        break;
      case 'tell':
        void this.#heed(frame.name, frame.value);
        break;
      default:
        this.#continue(frame);
    }
  }

  /** Late frames of calls that are over find nobody and are dropped. */
  #continue(frame: AnswerFrame | RequestFrame): void {
    const isOurs = frame.id % 2 === this.#nextId % 2;
    if (isOurs) this.#calls.get(frame.id)?.onFrame(frame as AnswerFrame);
    else this.#served.get(frame.id)?.onFrame(frame as RequestFrame);
  }

  #serve(open: Extract<Frame, { kind: 'open' }>): void {
    if (open.id % 2 === this.#nextId % 2 || this.#served.has(open.id)) {
      throw new BrokenFrame('a call has a number that is taken');
    }
    const { target, caller } = this.#options;
    const server = new PortServer(open, {
      target,
      caller,
      post: (frame, transfer) => this.#post(frame, transfer),
      onOver: () => this.#served.delete(open.id),
    });
    this.#served.set(open.id, server);
    void server.run();
  }

  /** Nobody waits for the outcome; a tale that cannot be taken is the teller's loss. */
  async #heed(name: string, value: unknown): Promise<void> {
    try {
      await this.#options.answer(name, value);
    } catch {
      this.#isBroken = true;
      this.#options.onBroken?.(`nobody understands what it tells as '${name.slice(0, 40)}'`);
    }
  }

  async #answer(id: number, name: string, value: unknown): Promise<void> {
    try {
      const answer = await this.#options.answer(name, value);
      this.#post({ kind: 'answer', id, value: answer, status: undefined });
    } catch (error) {
      const status = packedStatus(toStatus(error, () => ''));
      this.#post({ kind: 'answer', id, value: undefined, status });
    }
  }

  #answered({ id, value, status }: Extract<Frame, { kind: 'answer' }>): void {
    const question = this.#questions.get(id);
    this.#questions.delete(id);
    if (status === undefined) question?.resolve(value);
    else question?.reject(fromStatus(new StatusError(status)));
  }
}
