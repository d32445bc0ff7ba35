import type { DescService } from '@bufbuild/protobuf';
import type { Logger, Metrics } from '../../sdk/index.ts';
import { RemoteUnreachable } from '../errors.ts';
import { addressOf } from '../link/connection.ts';
import type {
  AnswerListener,
  Link,
  LinkCallOptions,
  LinkTarget,
  LinkUnaryResult,
} from '../link/link-client.ts';
import { steadyMs } from '../steady-clock.ts';
import type { AddressSource } from './addresses.ts';
import { Discovery } from './discovery.ts';
import { Endpoint, type EndpointRules } from './endpoint.ts';
import { LeastCalls, type Picker, WeightedTurns } from './picker.ts';
import { ReplayRoom, RequestReplay } from './request-replay.ts';
import { CallRetry, RetryPolicy } from './retry.ts';

/** Input of {@link Balancer}. */
export interface BalancerParts {
  readonly pluginId: string;
  readonly sources: readonly AddressSource[];
  /** Time between two looks at names, in milliseconds. */
  readonly resolveIntervalMs: number;
  readonly rules: EndpointRules;
  readonly log: Logger;
  readonly metrics: Metrics;
}

/** Delay suggested to callers while no address is healthy, in milliseconds. */
const PUSHBACK_MS = 500;

/**
 * Sends each call to the healthy address with the fewest calls, or to each in proportion to its weight, and to another
 * one when that is safe.
 */
export class Balancer implements Link {
  readonly #parts: BalancerParts;
  readonly #policy: RetryPolicy;
  readonly #room: ReplayRoom = new ReplayRoom();
  readonly #discovery: Discovery;
  /** By address, in the order in which they take turns. */
  readonly #endpoints: Map<string, Endpoint> = new Map();
  /** Addresses that are no longer named, while their last calls run. */
  readonly #leaving: Set<Endpoint> = new Set();
  #named: ReadonlyMap<string, LinkTarget> = new Map();
  #inTurn: readonly Endpoint[] = [];
  readonly #picker: Picker;
  #onChange: (() => void) | undefined;

  constructor(parts: BalancerParts) {
    this.#parts = parts;
    this.#policy = new RetryPolicy(parts.pluginId, parts.metrics);
    const { sources, log, rules } = parts;
    this.#picker = rules.weights === undefined ? new LeastCalls() : new WeightedTurns();
    this.#discovery = new Discovery({
      sources,
      log,
      intervalMs: parts.resolveIntervalMs,
      onTargets: (targets) => this.#update(targets),
    });
  }

  /** Waits until one address serves. @throws REMOTE_UNREACHABLE after the time given. */
  async ready(limitMs: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    try {
      await new Promise<void>((resolve, reject) => {
        timer = setTimeout(() => reject(this.#unreachable()), limitMs);
        this.#onChange = () => {
          if (this.#inTurn.some(({ isServing }) => isServing)) resolve();
        };
      });
    } finally {
      clearTimeout(timer);
      this.#onChange = undefined;
    }
  }

  /** Takes up which methods may be called again. */
  learn(services: readonly DescService[]): void {
    this.#policy.learn(services);
  }

  async unary(path: string, request: Uint8Array, options: LinkCallOptions = {}): Promise<LinkUnaryResult> {
    let retry: CallRetry | undefined;
    for (;;) {
      const endpoint = this.#next(retry);
      try {
        const result = await endpoint.unary(path, request, retry?.options ?? options);
        this.#policy.budget.earn();
        return result;
      } catch (error) {
        retry ??= new CallRetry(this.#policy, path, options);
        await retry.after(endpoint, error);
      }
    }
  }

  async *stream(
    path: string,
    requests: AsyncIterable<Uint8Array>,
    options: LinkCallOptions & AnswerListener = {},
  ): AsyncGenerator<Uint8Array> {
    const replay = new RequestReplay(requests, this.#room);
    const onHeaders: AnswerListener['onHeaders'] = (headers) => {
      // From its first sign on, the answer is this address's.
      replay.forget();
      options.onHeaders?.(headers);
    };
    let retry: CallRetry | undefined;
    try {
      for (;;) {
        const endpoint = this.#next(retry);
        try {
          const tryOptions = { ...options, ...retry?.options, onHeaders };
          yield* endpoint.stream(path, replay.requests(), tryOptions);
          this.#policy.budget.earn();
          return;
        } catch (error) {
          if (!replay.isWhole) throw error;
          retry ??= new CallRetry(this.#policy, path, options);
          await retry.after(endpoint, error);
        }
      }
    } finally {
      replay.close();
    }
  }

  /**
   * An address that was not tried, if there is one; one that should rest only when there is no other; one that was
   * tried only for a call that may run twice there.
   *
   * @throws REMOTE_UNREACHABLE
   */
  #next(retry: CallRetry | undefined): Endpoint {
    const nowMs = steadyMs();
    const isNew = (endpoint: Endpoint): boolean => retry?.hasTried(endpoint) !== true;
    const isRested = (endpoint: Endpoint): boolean => !endpoint.isResting(nowMs);
    const found =
      this.#pick((endpoint) => isNew(endpoint) && isRested(endpoint)) ??
      this.#pick(isNew) ??
      (retry?.mayGoBack === true ? this.#pick(() => true) : undefined);
    if (found !== undefined) return found;
    throw this.#unreachable(retry?.failure);
  }

  #pick(isEligible: (endpoint: Endpoint) => boolean): Endpoint | undefined {
    return this.#picker.pick(this.#inTurn, (endpoint) => endpoint.isServing && isEligible(endpoint));
  }

  #update(targets: readonly LinkTarget[]): void {
    const { rules, log } = this.#parts;
    const onChange = (): void => this.#changed();
    this.#named = new Map(targets.map((target) => [addressOf(target), target]));
    for (const [address, target] of this.#named) {
      if (this.#endpoints.has(address)) continue;
      this.#endpoints.set(address, new Endpoint(target, rules, { log, onChange }));
    }
    this.#dismissUnnamed();
  }

  /** A name that moved keeps its old addresses until one of the new ones serves. */
  #dismissUnnamed(): void {
    const all = [...this.#endpoints];
    const isReplaced = all.some(([address, { isServing }]) => isServing && this.#named.has(address));
    for (const [address, endpoint] of all) {
      if (this.#named.has(address) || (endpoint.isServing && !isReplaced)) continue;
      this.#endpoints.delete(address);
      this.#leaving.add(endpoint);
      this.#parts.log.info('an address is no longer named', { address });
      void endpoint.close(true).then(() => this.#leaving.delete(endpoint));
    }
    this.#inTurn = [...this.#endpoints.values()];
  }

  #changed(): void {
    this.#dismissUnnamed();
    this.#onChange?.();
    if (this.#inTurn.some(({ isServing }) => !isServing)) this.#discovery.hurry();
  }

  #unreachable(cause?: unknown): Error {
    const known = this.#inTurn.find((endpoint) => endpoint.obstacle !== '')?.obstacle;
    const obstacle = known ?? (cause instanceof Error ? cause.message : 'no answer');
    const addresses = this.#parts.sources.map(({ text }) => text).join(', ');
    return new RemoteUnreachable(
      { plugin: this.#parts.pluginId, addresses, obstacle: this.#discovery.obstacle || obstacle },
      { retryAfterMs: PUSHBACK_MS, cause },
    );
  }

  /** Ends all connections. */
  async close(): Promise<void> {
    await this.#discovery.close();
    const all = [...this.#endpoints.values(), ...this.#leaving];
    await Promise.all(all.map((endpoint) => endpoint.close()));
  }
}
