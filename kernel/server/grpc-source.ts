import type * as grpc from '@grpc/grpc-js';
import type { CallHeaders } from '../../sdk/index.ts';
import type { Evidence } from '../access/principal.ts';
import type { CallInit } from '../call.ts';
import { TOKEN_HEADER } from '../kernel-link.ts';

/** A call as grpc-js hands it out, of any kind. */
export type GrpcCall =
  | grpc.ServerUnaryCall<Buffer, Buffer>
  | grpc.ServerWritableStream<Buffer, Buffer>
  | grpc.ServerReadableStream<Buffer, Buffer>
  | grpc.ServerDuplexStream<Buffer, Buffer>;

/** Which plugin calls, by the token that only plugins send; `undefined` for everybody else. */
export type Identify = (token: string | undefined) => string | undefined;

/** Longest deadline that is kept, in milliseconds; anything longer is as good as none and would overflow timers. */
const DEADLINE_LIMIT_MS = 2 ** 31 - 1;

/** Time after which Envoy gives up on the call, whatever its client said, in milliseconds. */
const PROXY_TIMEOUT = 'x-envoy-expected-rq-timeout-ms';

/** What the kernel wants to know of a call over gRPC. One object with methods, not one for each question: every call makes it. */
export class GrpcSource implements CallInit, Evidence {
  readonly caller: string | undefined;
  readonly deadlineMs: number | undefined;
  readonly #call: GrpcCall;
  /** The first value of each header. Looking into grpc-js's metadata checks the name and copies the values each time. */
  readonly #firstValues: Readonly<Record<string, grpc.MetadataValue>>;

  constructor(call: GrpcCall, identify: Identify) {
    this.#call = call;
    this.#firstValues = call.metadata.getMap();
    this.caller = identify(this.#first(TOKEN_HEADER));
    this.deadlineMs = this.#deadline();
  }

  get isForeign(): boolean {
    return this.caller !== undefined;
  }

  get evidence(): Evidence | undefined {
    return this.caller === undefined ? this : undefined;
  }

  #first(name: string): string | undefined {
    const value = this.#firstValues[name];
    return typeof value === 'string' ? value : undefined;
  }

  /** The earlier of what the client and a proxy on the way say. Anybody may say it: it only ever shortens one's own call. */
  #deadline(): number | undefined {
    const deadline = this.#call.getDeadline();
    const clientMs = deadline instanceof Date ? deadline.getTime() : deadline;
    const timeout = this.#first(PROXY_TIMEOUT);
    if (timeout === undefined && clientMs === Infinity) return undefined;
    const isTimeout = timeout !== undefined && /^[1-9]\d{0,8}$/.test(timeout);
    const nowMs = Date.now();
    const deadlineMs = isTimeout ? Math.min(clientMs, nowMs + Number(timeout)) : clientMs;
    return deadlineMs < nowMs + DEADLINE_LIMIT_MS ? deadlineMs : undefined;
  }

  readHeaders(): CallHeaders {
    return new Map(Object.entries(this.#firstValues));
  }

  readPeer(): string {
    return this.#call.getPeer();
  }

  onCancelled(listener: () => void): void {
    if (this.#call.cancelled) listener();
    else (this.#call as grpc.ServerUnaryCall<Buffer, Buffer>).once('cancelled', listener);
  }

  header(name: string): string | undefined {
    return this.#first(name) === undefined ? undefined : this.#call.metadata.get(name).join(', ');
  }

  certificateNames(): string | undefined {
    return this.#call.getAuthContext().sslPeerCertificate?.subjectaltname;
  }

  peer(): string {
    return this.readPeer();
  }
}
