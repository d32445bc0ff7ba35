import type { CallSpan } from '../../sdk/index.ts';
import type { Call } from '../call.ts';
import type { Instance } from '../loader/instance.ts';

/** The spans of one call. */
export interface CallTrace {
  /** The span of the plugin that serves; `undefined` while there is none, and where nobody keeps it. */
  readonly span: CallSpan | undefined;
  /** The call goes to an instance, once or again. */
  enter(instance: Pick<Instance, 'pluginId' | 'version' | 'isolation'>): void;
  /** The call has waited. */
  waited(why: Wait, milliseconds: number): void;
  /** The call has ended; `error` is undefined when it went well. */
  end(error: unknown): void;
}

/** What a call may wait for: an instance that is ready, or room in one. */
export type Wait = 'parked' | 'queued';

/** The span of a request over HTTP. */
export interface RequestTrace {
  /** For the plugin that answers; `undefined` where nobody keeps it. */
  readonly span: CallSpan | undefined;
  end(status: number): void;
}

/** A request over HTTP as a tracer sees it; its headers are those that the plugin will read. */
export interface TracedRequest {
  readonly method: string;
  readonly path: string;
  readonly owner: string;
  readonly headers: Headers;
}

/** Makes spans of calls. What it loads and sends is its own matter; it never fails or delays a call. */
export interface CallTracer {
  /** `undefined` for calls that nobody wants to see. */
  begin(call: Call, path: string): CallTrace | undefined;
  beginRequest(request: TracedRequest): RequestTrace;
  /** Sends what waits to be sent. */
  close(): Promise<void>;
}
