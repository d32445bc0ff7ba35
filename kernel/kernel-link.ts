import type { BytesTransport, OutgoingCall } from './client.ts';
import type { Link, LinkCallOptions } from './link/link-client.ts';
import { fromStatus } from './server/status.ts';

/** Metadata by which a plugin process proves to the kernel who it is. */
export const TOKEN_HEADER = 'lamella-token';

/** Typed calls over a link; errors come back with the reasons their authors declared. */
export class LinkTransport implements BytesTransport {
  readonly #link: Link;
  readonly #token: string | undefined;

  /** @param token - Sent with every call; only plugin processes have one. */
  constructor(link: Link, token?: string) {
    this.#link = link;
    this.#token = token;
  }

  #options(call: OutgoingCall): LinkCallOptions {
    if (this.#token !== undefined) call.headers.set(TOKEN_HEADER, this.#token);
    if (call.requestId !== undefined) call.headers.set('x-request-id', call.requestId);
    return { headers: call.headers, deadlineMs: call.deadlineMs, signal: call.signal };
  }

  async unary(path: string, request: Uint8Array, call: OutgoingCall): Promise<Uint8Array> {
    try {
      const { message } = await this.#link.unary(path, request, this.#options(call));
      return message;
    } catch (error) {
      throw fromStatus(error);
    }
  }

  async *stream(
    path: string,
    requests: AsyncIterable<Uint8Array>,
    call: OutgoingCall,
  ): AsyncGenerator<Uint8Array> {
    try {
      yield* this.#link.stream(path, requests, this.#options(call));
    } catch (error) {
      throw fromStatus(error);
    }
  }
}
