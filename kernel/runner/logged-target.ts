import { Code, isDeclaredError, type Logger } from '../../sdk/index.ts';
import type { Call } from '../call.ts';
import { toStatus } from '../server/status.ts';
import { StatusError } from '../status-error.ts';
import type { Target } from '../target.ts';

/**
 * Serves a plugin outside the kernel's thread and logs what nobody declared: callers get fixed text, and the kernel
 * sees no more than they do.
 */
export class LoggedTarget implements Target {
  readonly #log: Logger;
  #target: Target | undefined;
  #explain: (error: unknown) => unknown = (error) => error;

  constructor(log: Logger) {
    this.#log = log;
  }

  /**
   * The plugin has started.
   *
   * @param explain - Turns an error into the one that the caller shall see.
   */
  attach(target: Target, explain: (error: unknown) => unknown): void {
    this.#target = target;
    this.#explain = explain;
  }

  #attached(): Target {
    if (this.#target === undefined) throw new Error('The plugin was called before it had started.');
    return this.#target;
  }

  async unary(path: string, request: Uint8Array, call: Call): Promise<Uint8Array> {
    try {
      return await this.#attached().unary(path, request, call);
    } catch (cause) {
      const error = this.#explain(cause);
      this.#note(error, call, path);
      throw error;
    }
  }

  async *stream(path: string, requests: AsyncIterable<Uint8Array>, call: Call): AsyncGenerator<Uint8Array> {
    try {
      yield* this.#attached().stream(path, requests, call);
    } catch (cause) {
      const error = this.#explain(cause);
      this.#note(error, call, path);
      throw error;
    }
  }

  #note(error: unknown, call: Call, path: string): void {
    if (isDeclaredError(error) || error instanceof StatusError) return;
    if (toStatus(call.explain(error), () => '').code !== Code.INTERNAL) return;
    this.#log.error('a call failed', { method: path, requestId: call.requestId, error });
  }
}
