import type { CallHeaders } from '../../sdk/index.ts';
import type { Call } from '../call.ts';
import type { Link, LinkCallOptions } from '../link/link-client.ts';
import type { Target } from '../target.ts';

/** Metadata that describes the hop to the kernel and means nothing on the next one. */
const HOP_HEADERS: ReadonlySet<string> = new Set(['te', 'user-agent', 'content-type', 'lamella-token']);

/** Passes calls on as bytes over a link: to a worker, to a process, to another machine. */
export class ForwardTarget implements Target {
  readonly #pluginId: string;
  #link: Link | undefined;
  #failure: Error | undefined;

  constructor(pluginId: string) {
    this.#pluginId = pluginId;
  }

  attach(link: Link): void {
    this.#link = link;
  }

  /** From now on every call fails with this error. */
  fail(failure: Error): void {
    this.#failure = failure;
  }

  #attached(): Link {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#link === undefined) throw new Error(`plugin '${this.#pluginId}' is not connected`);
    return this.#link;
  }

  async unary(path: string, request: Uint8Array, call: Call): Promise<Uint8Array> {
    const result = await this.#attached().unary(path, request, options(call));
    copyInto(call, 'responseHeaders', result.headers);
    copyInto(call, 'responseTrailers', result.trailers);
    return result.message;
  }

  stream(path: string, requests: AsyncIterable<Uint8Array>, call: Call): AsyncIterable<Uint8Array> {
    return this.#attached().stream(path, requests, {
      ...options(call),
      onHeaders: (headers) => {
        copyInto(call, 'responseHeaders', headers);
        call.flushHeaders?.();
      },
      onTrailers: (trailers) => copyInto(call, 'responseTrailers', trailers),
    });
  }
}

function options(call: Call): LinkCallOptions {
  const headers: CallHeaders = new Map();
  for (const [name, value] of call.headers) if (!HOP_HEADERS.has(name)) headers.set(name, value);
  return { headers, deadlineMs: call.deadlineMs, onCancellable: (cancel) => call.onAbort(cancel) };
}

function copyInto(call: Call, where: 'responseHeaders' | 'responseTrailers', from: CallHeaders): void {
  if (from.size === 0) return;
  const target = call[where];
  for (const [name, value] of from) target.set(name, value);
}
