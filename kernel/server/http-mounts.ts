import type { CallSpan, HttpContext } from '../../sdk/index.ts';
import type { Instance } from '../loader/instance.ts';
import { HttpPathNotFound, HttpPrefixInvalid, HttpPrefixTaken } from './http-errors.ts';

/** What a mounted handler knows of its request. */
export interface MountContext extends HttpContext {
  /** Tells when the answer is out, or given up. */
  readonly onEnd: (listener: () => void) => void;
  /** Plugin that answers. */
  readonly owner: string;
  /** Set on the way, when the request is traced. */
  span?: CallSpan | undefined;
  /** Tells which instance answers. */
  readonly onServed: (instance: Instance) => void;
}

/** Answers the requests under a prefix. */
export type MountHandler = (request: Request, context: MountContext) => Response | Promise<Response>;

/** A handler under a prefix. */
export interface HttpMount {
  /** Prefix, for example `/v2`; `/` is everything that nothing longer takes. */
  readonly prefix: string;
  /** Plugin that answers. */
  readonly owner: string;
  /**
   * Takes the handler out, waits until its running requests are done, at most `graceMs` (default 0), then aborts the
   * signal of those left.
   */
  close(graceMs?: number): Promise<void>;
}

/** What the listener needs of a mount. */
export interface ActiveMount extends HttpMount {
  readonly handler: MountHandler;
  /** Running requests; each is aborted when the mount's grace time is over. */
  enter(abort: AbortController): void;
  leave(abort: AbortController): void;
}

const PREFIX = /^\/(?:[\w.-]+(?:\/[\w.-]+)*)?$/;

/** Which handler answers which path: the longest prefix that ends at a path segment wins. */
export class HttpMounts {
  readonly #mounts: Map<string, Mount> = new Map();

  /**
   * Adds a handler. A second handler of the same owner takes the prefix over at once, while the first finishes the
   * requests it has: this is how an upgrade loses none.
   *
   * @throws HTTP_PREFIX_INVALID, HTTP_PREFIX_TAKEN
   */
  add(prefix: string, handler: MountHandler, owner: string): HttpMount {
    if (!PREFIX.test(prefix) || prefix.length > 200)
      throw new HttpPrefixInvalid({ prefix: prefix.slice(0, 200) });
    const held = this.#mounts.get(prefix);
    if (held !== undefined && held.owner !== owner) throw new HttpPrefixTaken({ prefix, owner: held.owner });
    const mount = new Mount({ prefix, handler, owner }, () => {
      if (this.#mounts.get(prefix) === mount) this.#mounts.delete(prefix);
    });
    this.#mounts.set(prefix, mount);
    return mount;
  }

  /** @throws HTTP_PATH_NOT_FOUND names the prefixes there are. */
  find(path: string): ActiveMount {
    for (let end = path.length; end > 0; end = path.lastIndexOf('/', end - 1)) {
      const mount = this.#mounts.get(path.slice(0, end));
      if (mount !== undefined) return mount;
    }
    const root = this.#mounts.get('/');
    if (root !== undefined) return root;
    throw new HttpPathNotFound({
      path: path.slice(0, 200),
      known: this.prefixes().join(', ') || 'nothing yet',
    });
  }

  /** All prefixes in alphabetical order. */
  prefixes(): string[] {
    return [...this.#mounts.keys()].sort();
  }
}

class Mount implements ActiveMount {
  readonly prefix: string;
  readonly owner: string;
  readonly handler: MountHandler;
  readonly #remove: () => void;
  readonly #running: Set<AbortController> = new Set();
  #onIdle: (() => void) | undefined;

  constructor(init: Pick<ActiveMount, 'prefix' | 'owner' | 'handler'>, remove: () => void) {
    this.prefix = init.prefix;
    this.owner = init.owner;
    this.handler = init.handler;
    this.#remove = remove;
  }

  enter(abort: AbortController): void {
    this.#running.add(abort);
  }

  leave(abort: AbortController): void {
    this.#running.delete(abort);
    if (this.#running.size === 0) this.#onIdle?.();
  }

  async close(graceMs = 0): Promise<void> {
    this.#remove();
    if (this.#running.size > 0 && graceMs > 0) await this.#idle(graceMs);
    for (const abort of this.#running) abort.abort(new DOMException('The plugin stopped.', 'AbortError'));
  }

  #idle(graceMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, graceMs);
      this.#onIdle = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
