import type { CallHeaders } from '../../sdk/index.ts';
import type { Call } from '../call.ts';
import type { LinkCallOptions, LinkClient } from '../link/link-client.ts';
import type { Target } from '../target.ts';

/** Metadata that describes the hop to the kernel and means nothing on the next one. */
const HOP_HEADERS: ReadonlySet<string> = new Set(['te', 'user-agent', 'content-type', 'lamella-token']);

/** Passes calls on to a plugin process over its link. */
export class ProcessTarget implements Target {
  readonly #pluginId: string;
  #client: LinkClient | undefined;
  #failure: Error | undefined;

  constructor(pluginId: string) {
    this.#pluginId = pluginId;
  }

  attach(client: LinkClient): void {
    this.#client = client;
  }

  /** From now on every call fails with this error. */
  fail(failure: Error): void {
    this.#failure = failure;
  }

  #link(): LinkClient {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#client === undefined) throw new Error(`plugin '${this.#pluginId}' is not connected`);
    return this.#client;
  }

  async unary(path: string, request: Uint8Array, call: Call): Promise<Uint8Array> {
    const result = await this.#link().unary(path, request, options(call));
    copyInto(call, 'responseHeaders', result.headers);
    copyInto(call, 'responseTrailers', result.trailers);
    return result.message;
  }

  stream(path: string, requests: AsyncIterable<Uint8Array>, call: Call): AsyncIterable<Uint8Array> {
    return this.#link().stream(path, requests, {
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
  return { headers, deadlineMs: call.deadlineMs, signal: call.signal };
}

function copyInto(call: Call, where: 'responseHeaders' | 'responseTrailers', from: CallHeaders): void {
  if (from.size === 0) return;
  const target = call[where];
  for (const [name, value] of from) target.set(name, value);
}
