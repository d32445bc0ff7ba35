import { isDeclaredError, type Logger } from '../../sdk/index.ts';
import { RemoteUnreachable } from '../errors.ts';
import type {
  AnswerListener,
  Link,
  LinkCallOptions,
  LinkTarget,
  LinkUnaryResult,
} from '../link/link-client.ts';
import { Endpoint, type EndpointRules } from './endpoint.ts';

/** Input of {@link Balancer}. */
export interface BalancerParts {
  readonly pluginId: string;
  readonly targets: readonly LinkTarget[];
  readonly rules: EndpointRules;
  readonly log: Logger;
}

/** Delay suggested to callers while no address is healthy, in milliseconds. */
const PUSHBACK_MS = 500;

/** Reasons of calls that never reached the other side, so that another address may take them. */
const NEVER_SENT: ReadonlySet<string> = new Set(['LINK_CLOSED', 'LINK_REFUSED', 'LINK_UNREACHABLE']);

/** Calls in turn to those of several addresses that are healthy. */
export class Balancer implements Link {
  readonly #pluginId: string;
  readonly #endpoints: readonly Endpoint[];
  #turn = 0;
  #onChange: (() => void) | undefined;

  constructor({ pluginId, targets, rules, log }: BalancerParts) {
    this.#pluginId = pluginId;
    const parts = { log, onChange: () => this.#onChange?.() };
    this.#endpoints = targets.map((target) => new Endpoint(target, rules, parts));
  }

  /** Waits until one address serves. @throws REMOTE_UNREACHABLE after the time given. */
  async ready(limitMs: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    try {
      await new Promise<void>((resolve, reject) => {
        timer = setTimeout(() => reject(this.#unreachable()), limitMs);
        this.#onChange = () => {
          if (this.#endpoints.some((endpoint) => endpoint.usable(Date.now()) !== undefined)) resolve();
        };
      });
    } finally {
      clearTimeout(timer);
      this.#onChange = undefined;
    }
  }

  async unary(path: string, request: Uint8Array, options: LinkCallOptions = {}): Promise<LinkUnaryResult> {
    const tried = new Set<Endpoint>();
    for (;;) {
      const [endpoint, link] = this.#next(tried);
      try {
        const result = await link.unary(path, request, options);
        endpoint.note(undefined);
        return result;
      } catch (error) {
        endpoint.note(error);
        tried.add(endpoint);
        if (!wasNeverSent(error)) throw error;
        if (!this.#hasOther(tried)) throw this.#unreachable(error);
      }
    }
  }

  async *stream(
    path: string,
    requests: AsyncIterable<Uint8Array>,
    options: LinkCallOptions & AnswerListener = {},
  ): AsyncGenerator<Uint8Array> {
    // Requests of a stream are gone once they are read, so one that failed is not tried elsewhere.
    const [endpoint, link] = this.#next(new Set());
    try {
      yield* link.stream(path, requests, options);
      endpoint.note(undefined);
    } catch (error) {
      endpoint.note(error);
      throw wasNeverSent(error) ? this.#unreachable(error) : error;
    }
  }

  /** @throws REMOTE_UNREACHABLE */
  #next(tried: ReadonlySet<Endpoint>): readonly [Endpoint, Link] {
    const nowMs = Date.now();
    const count = this.#endpoints.length;
    for (let step = 0; step < count; step += 1) {
      const index = (this.#turn + step) % count;
      const endpoint = this.#endpoints[index];
      if (endpoint === undefined || tried.has(endpoint)) continue;
      const link = endpoint.usable(nowMs);
      if (link === undefined) continue;
      this.#turn = (index + 1) % count;
      return [endpoint, link];
    }
    throw this.#unreachable();
  }

  #hasOther(tried: ReadonlySet<Endpoint>): boolean {
    const nowMs = Date.now();
    return this.#endpoints.some((endpoint) => !tried.has(endpoint) && endpoint.usable(nowMs) !== undefined);
  }

  #unreachable(cause?: unknown): Error {
    const known = this.#endpoints.find((endpoint) => endpoint.obstacle !== '')?.obstacle;
    const obstacle = known ?? (cause instanceof Error ? cause.message : 'no answer');
    const addresses = this.#endpoints.map(({ address }) => address).join(', ');
    return new RemoteUnreachable(
      { plugin: this.#pluginId, addresses, obstacle },
      { retryAfterMs: PUSHBACK_MS, cause },
    );
  }

  /** Ends all connections. */
  async close(): Promise<void> {
    await Promise.all(this.#endpoints.map((endpoint) => endpoint.close()));
  }
}

function wasNeverSent(error: unknown): boolean {
  return isDeclaredError(error) && NEVER_SENT.has(error.reason);
}
