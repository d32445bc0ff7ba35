import { Call } from '../call.ts';
import { deadlineTimer } from '../deadline.ts';
import { toStatus } from '../server/status.ts';
import { StatusError } from '../status-error.ts';
import type { Target } from '../target.ts';
import { Inlet, Outlet } from './flow.ts';
import { type Frame, type OpenFrame, packed, packedHeaders, packedStatus } from './frames.ts';

/** A frame that continues a call of the other side. */
export type RequestFrame = Extract<Frame, { kind: 'message' | 'half' | 'cancel' | 'credit' }>;

/** What serving a call needs of the port it came on. */
export interface ServerParts {
  readonly target: Target;
  /** Id of the plugin that calls; `undefined` for the kernel. */
  readonly caller: string | undefined;
  readonly post: (frame: Frame, transfer?: ArrayBuffer[]) => void;
  /** Called once when the call is over. */
  readonly onOver: () => void;
}

/** The serving half of a call that came over a port. */
export class PortServer {
  readonly #open: OpenFrame;
  readonly #parts: ServerParts;
  readonly #call: Call;
  readonly #timer: NodeJS.Timeout | undefined;
  readonly #requests: Inlet;
  readonly #answers: Outlet;
  #hasSentHeaders = false;

  constructor(open: OpenFrame, parts: ServerParts) {
    const { id } = open;
    this.#open = open;
    this.#parts = parts;
    this.#call = new Call({
      readHeaders: () => open.headers ?? new Map(),
      readPeer: () => parts.caller ?? 'kernel',
      deadlineMs: open.deadlineMs,
      caller: parts.caller,
      isForeign: parts.caller !== undefined,
    });
    this.#timer = deadlineTimer(this.#call);
    this.#requests = new Inlet((bytes) => parts.post({ kind: 'credit', id, bytes }));
    this.#answers = new Outlet((bytes) => {
      this.#sendHeaders();
      const { bytes: own, transfer } = packed(bytes);
      parts.post({ kind: 'message', id, bytes: own }, transfer);
    });
  }

  async run(): Promise<void> {
    const { bytes } = this.#open;
    try {
      await (bytes === undefined ? this.#stream() : this.#unary(bytes));
    } catch (error) {
      this.#fail(error);
    } finally {
      clearTimeout(this.#timer);
      this.#call.end();
      this.#parts.onOver();
    }
  }

  async #unary(request: Uint8Array): Promise<void> {
    const { id, path } = this.#open;
    const answer = await this.#parts.target.unary(path, request, this.#call);
    const { bytes, transfer } = packed(answer);
    const headers = packedHeaders(this.#call.setHeaders);
    const trailers = packedHeaders(this.#call.setTrailers);
    this.#parts.post({ kind: 'end', id, bytes, headers, trailers }, transfer);
  }

  async #stream(): Promise<void> {
    const { id, path } = this.#open;
    this.#call.flushHeaders = () => this.#sendHeaders();
    const answers = this.#parts.target.stream(path, this.#requests, this.#call);
    const isComplete = await this.#answers.drain(answers);
    if (!isComplete) return;
    this.#sendHeaders();
    this.#parts.post({ kind: 'end', id, trailers: packedHeaders(this.#call.setTrailers) });
  }

  #sendHeaders(): void {
    if (this.#hasSentHeaders) return;
    this.#hasSentHeaders = true;
    const headers = packedHeaders(this.#call.setHeaders);
    if (headers !== undefined) this.#parts.post({ kind: 'headers', id: this.#open.id, headers });
  }

  #fail(error: unknown): void {
    const { id } = this.#open;
    const status = toStatus(this.#call.explain(error), () => this.#call.requestId);
    const trailers = new Map([...(this.#call.setTrailers ?? []), ...status.trailers]);
    this.#sendHeaders();
    this.#parts.post({ kind: 'fail', id, status: packedStatus({ ...status, trailers }) });
  }

  onFrame(frame: RequestFrame): void {
    switch (frame.kind) {
      case 'message':
        this.#requests.push(frame.bytes);
        break;
      case 'half':
        this.#requests.end();
        break;
      case 'credit':
        this.#answers.grant(frame.bytes);
        break;
      case 'cancel':
        this.abort(new StatusError(frame.status));
        break;
    }
  }

  /** The caller does not want the answer any more. */
  abort(error: Error): void {
    this.#call.abort(error);
    this.#requests.end(error);
    this.#answers.stop();
  }
}
