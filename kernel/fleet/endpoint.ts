import { Code, isDeclaredError, type Logger } from '../../sdk/index.ts';
import { addressOf } from '../link/connection.ts';
import {
  type AnswerListener,
  type Link,
  LinkClient,
  type LinkCallOptions,
  type LinkTarget,
  type LinkUnaryResult,
} from '../link/link-client.ts';
import { LinkClosed } from '../link/errors.ts';
import { StatusError } from '../status-error.ts';
import { steadyMs } from '../steady-clock.ts';
import { LoadWeight, type WeightRules } from './load-weight.ts';
import { EndpointHealth, NotServing } from './endpoint-health.ts';
import { Pause } from './pause.ts';
import { pushbackOf } from './pushback.ts';

/** When an address counts as healthy. */
export interface EndpointRules {
  /** Services that must be healthy there. */
  readonly services: readonly string[];
  /** Time between two health checks, in milliseconds. */
  readonly checkIntervalMs: number;
  /** Failed checks in a row after which an address gets no more calls. */
  readonly checkFailures: number;
  /** Set where calls are shared out by the load that addresses report. */
  readonly weights?: WeightRules | undefined;
}

/** Calls in a row that fail as UNAVAILABLE after which an address gets no more for a while. */
const ERROR_LIMIT = 5;

/** First time without calls after errors, in milliseconds; doubled each time up to the limit. */
const EJECTION_MS = 1_000;
const EJECTION_LIMIT_MS = 30_000;

/** First pause before an address that is down is tried again, in milliseconds. */
const RETRY_MS = 250;

/** One address of a plugin that runs elsewhere: connected, checked, taken out on errors and put back. */
export class Endpoint implements Link {
  readonly address: string;
  readonly #target: LinkTarget;
  readonly #rules: EndpointRules;
  readonly #health: EndpointHealth;
  readonly #weight: LoadWeight | undefined;
  readonly #log: Logger;
  readonly #onChange: () => void;
  #client: LinkClient | undefined;
  #isServing = false;
  #obstacle = 'not connected yet';
  #inFlight = 0;
  #failedChecks = 0;
  #errors = 0;
  #ejections = 0;
  #restUntilMs = 0;
  #isClosed = false;
  readonly #pause: Pause = new Pause();
  readonly #watching: Promise<void>;

  constructor(target: LinkTarget, rules: EndpointRules, parts: { log: Logger; onChange: () => void }) {
    this.#target = target;
    this.address = addressOf(target);
    this.#rules = rules;
    this.#health = new EndpointHealth(rules.services);
    this.#weight = rules.weights && new LoadWeight(rules.weights, steadyMs);
    this.#log = parts.log;
    this.#onChange = parts.onChange;
    this.#watching = this.#watch();
  }

  /** What stands in the way of calls; for people. */
  get obstacle(): string {
    return this.#obstacle;
  }

  /** Whether it is connected and says that it serves. */
  get isServing(): boolean {
    return this.#isServing && this.#client !== undefined;
  }

  /** Whether its last calls, or itself, say that it should have a rest. */
  isResting(nowMs: number): boolean {
    return nowMs < this.#restUntilMs;
  }

  /** Calls that run there for this kernel. */
  get inFlight(): number {
    return this.#inFlight;
  }

  /** How many calls it should get beside others; 0 while that is not known. */
  get weight(): number {
    return this.#weight?.value ?? 0;
  }

  async unary(path: string, request: Uint8Array, options: LinkCallOptions): Promise<LinkUnaryResult> {
    const link = this.#begin();
    try {
      const result = await link.unary(path, request, this.#weight?.asking(options) ?? options);
      this.#weight?.take(result.trailers, options);
      this.#end(undefined);
      return result;
    } catch (error) {
      this.#end(error);
      throw error;
    }
  }

  async *stream(
    path: string,
    requests: AsyncIterable<Uint8Array>,
    options: LinkCallOptions & AnswerListener,
  ): AsyncGenerator<Uint8Array> {
    const link = this.#begin();
    let failure: unknown;
    try {
      yield* link.stream(path, requests, options);
    } catch (error) {
      failure = error;
      throw error;
    } finally {
      this.#end(failure);
    }
  }

  /** @throws LINK_CLOSED */
  #begin(): LinkClient {
    if (this.#client === undefined) throw new LinkClosed({ address: this.address });
    this.#inFlight += 1;
    return this.#client;
  }

  #end(failure: unknown): void {
    this.#inFlight -= 1;
    const pushbackMs = pushbackOf(failure);
    if (pushbackMs !== undefined) this.#rest(Math.min(pushbackMs, EJECTION_LIMIT_MS));
    if (isUnavailable(failure)) this.#countError(failure as Error);
    else this.#clearErrors();
  }

  #clearErrors(): void {
    this.#errors = 0;
    this.#ejections = 0;
  }

  #countError(error: Error): void {
    this.#errors += 1;
    if (this.#errors < ERROR_LIMIT) return;
    this.#errors = 0;
    const pauseMs = Math.min(EJECTION_LIMIT_MS, EJECTION_MS * 2 ** this.#ejections);
    this.#ejections += 1;
    this.#rest(pauseMs);
    this.#obstacle = error.message;
    const { address } = this;
    this.#log.warn('an address gets no calls for a while: they only failed', { address, pauseMs, error });
  }

  #rest(ms: number): void {
    this.#restUntilMs = Math.max(this.#restUntilMs, steadyMs() + ms);
  }

  /** Stops checking. With `graceful`, running calls may end; otherwise they are broken off. */
  async close(graceful = false): Promise<void> {
    this.#isClosed = true;
    this.#pause.end();
    await this.#watching;
    await this.#client?.close(graceful);
  }

  async #watch(): Promise<void> {
    let pauseMs = RETRY_MS;
    while (!this.#isClosed) {
      await this.#check();
      pauseMs = this.#isServing ? RETRY_MS : Math.min(this.#rules.checkIntervalMs, pauseMs * 2);
      if (!this.#isClosed) await this.#pause.wait(this.#isServing ? this.#rules.checkIntervalMs : pauseMs);
    }
  }

  async #check(): Promise<void> {
    try {
      const client = this.#client ?? (await this.#connect());
      await this.#health.check(client, this.#rules.checkIntervalMs);
      this.#failedChecks = 0;
      this.#set(true, '');
    } catch (error) {
      this.#failedChecks += 1;
      const isLate = this.#failedChecks >= this.#rules.checkFailures;
      const isDown = this.#client === undefined || isLate || error instanceof NotServing;
      if (isDown) this.#set(false, (error as Error).message);
    }
  }

  async #connect(): Promise<LinkClient> {
    const client = await LinkClient.connect(this.#target);
    this.#client = client;
    this.#weight?.reset();
    void client.closed.then(() => {
      if (this.#client !== client) return;
      this.#client = undefined;
      this.#set(false, 'the connection ended and nobody listens');
      this.#pause.end();
    });
    return client;
  }

  #set(isServing: boolean, obstacle: string): void {
    this.#obstacle = obstacle;
    if (this.#isServing === isServing) return;
    this.#isServing = isServing;
    const { address } = this;
    if (isServing) this.#log.info('an address serves', { address });
    else if (!this.#isClosed) this.#log.warn('an address does not serve', { address, reason: obstacle });
    this.#onChange();
  }
}

function isUnavailable(error: unknown): boolean {
  const isStatus = isDeclaredError(error) || error instanceof StatusError;
  return isStatus && error.code === Code.UNAVAILABLE;
}
