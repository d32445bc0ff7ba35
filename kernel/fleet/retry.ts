import type { DescService } from '@bufbuild/protobuf';
import { MethodOptions_IdempotencyLevel as Idempotency } from '@bufbuild/protobuf/wkt';
import { Code, type Counter, isDeclaredError, type Metrics } from '../../sdk/index.ts';
import type { LinkCallOptions } from '../link/link-client.ts';
import { LinkRefused } from '../link/errors.ts';
import { abortError } from '../link/link-call.ts';
import { StatusError } from '../status-error.ts';
import { methodPath } from '../target.ts';
import type { Endpoint } from './endpoint.ts';
import { pushbackOf } from './pushback.ts';
import { RetryBudget } from './retry-budget.ts';

/** Tries of one call that may have reached somebody's code, the first one included. */
const MAX_TRIES = 4;

/** Longest pause before the first repetition, in milliseconds; doubled each time up to the limit, with full jitter. */
const BACKOFF_MS = 25;
const BACKOFF_LIMIT_MS = 1_000;

/** Longest delay asked for by a server that a call is made to wait; after more its caller is told, in milliseconds. */
const PUSHBACK_LIMIT_MS = 30_000;

/** Reasons of calls that never reached the other side's code, so that another address may take them. */
const NEVER_SENT: ReadonlySet<string> = new Set(['LINK_CLOSED', 'LINK_REFUSED', 'LINK_UNREACHABLE']);

/** Tells servers that a call is a repetition (gRFC A6). */
const ATTEMPTS_HEADER = 'grpc-previous-rpc-attempts';

/** Which methods may run twice, and how often all calls together do. */
export class RetryPolicy {
  readonly budget: RetryBudget = new RetryBudget();
  readonly #pluginId: string;
  readonly #retries: Counter;
  readonly #repeatable: Set<string> = new Set([
    '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo',
    '/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo',
  ]);

  constructor(pluginId: string, metrics: Metrics) {
    this.#pluginId = pluginId;
    this.#retries = metrics.counter({
      name: 'lamella_remote_retries_total',
      help: 'Calls to plugins elsewhere that were made once more: after they reached nobody, or because their method may run twice; and those that had to fail since too many were.',
      labels: ['plugin', 'kind'],
    });
  }

  count(kind: 'unsent' | 'repeated' | 'over_budget'): void {
    this.#retries.add(1, { plugin: this.#pluginId, kind });
  }

  /** Takes up which methods the services' authors declare to be without effects, or with the same when they run twice. */
  learn(services: readonly DescService[]): void {
    for (const method of services.flatMap((service) => service.methods)) {
      if (method.idempotency !== Idempotency.IDEMPOTENCY_UNKNOWN) this.#repeatable.add(methodPath(method));
    }
  }

  mayRunTwice(path: string): boolean {
    return this.#repeatable.has(path);
  }
}

/** Whether a call failed before anybody's code can have seen it. */
export function wasNeverSent(error: unknown): boolean {
  return isDeclaredError(error) && NEVER_SENT.has(error.reason);
}

/** A call that has failed at least once: what was tried, and whether to go on. */
export class CallRetry {
  readonly #policy: RetryPolicy;
  readonly #path: string;
  readonly #options: LinkCallOptions;
  readonly #tried: Set<Endpoint> = new Set();
  #failure: unknown;
  /** Tries that may have reached somebody's code. */
  #seen = 0;
  #refusals = 0;

  constructor(policy: RetryPolicy, path: string, options: LinkCallOptions) {
    this.#policy = policy;
    this.#path = path;
    this.#options = options;
  }

  get failure(): unknown {
    return this.#failure;
  }

  /** Whether an address may get the call that had it before. One that refuses it may only be renewing its connection. */
  get mayGoBack(): boolean {
    return (
      !wasNeverSent(this.#failure) || (this.#failure instanceof LinkRefused && this.#refusals < MAX_TRIES)
    );
  }

  hasTried(endpoint: Endpoint): boolean {
    return this.#tried.has(endpoint);
  }

  /** Options of the next try. */
  get options(): LinkCallOptions {
    if (this.#seen === 0) return this.#options;
    const headers = new Map(this.#options.headers).set(ATTEMPTS_HEADER, String(this.#seen));
    return { ...this.#options, headers };
  }

  /**
   * Waits until the next try may begin.
   *
   * @throws the failure when there must be none; why the call was aborted meanwhile.
   */
  async after(endpoint: Endpoint, failure: unknown): Promise<void> {
    this.#tried.add(endpoint);
    this.#failure = failure;
    // What nobody has seen goes to another address at once.
    if (wasNeverSent(failure)) {
      this.#refusals += 1;
      this.#policy.count('unsent');
      return;
    }
    this.#seen += 1;
    if (!this.#mayRepeat(failure)) throw failure;
    const pauseMs = pushbackOf(failure) ?? this.#backoffMs();
    const { deadlineMs } = this.#options;
    if (deadlineMs !== undefined && Date.now() + pauseMs >= deadlineMs) throw failure;
    const isAllowed = this.#policy.budget.spend();
    this.#policy.count(isAllowed ? 'repeated' : 'over_budget');
    if (!isAllowed) throw failure;
    await pause(pauseMs, this.#options);
  }

  #mayRepeat(failure: unknown): boolean {
    const isStatus = isDeclaredError(failure) || failure instanceof StatusError;
    if (!isStatus || failure.code !== Code.UNAVAILABLE || (pushbackOf(failure) ?? 0) > PUSHBACK_LIMIT_MS)
      return false;
    return this.#seen < MAX_TRIES && this.#policy.mayRunTwice(this.#path);
  }

  #backoffMs(): number {
    return Math.random() * Math.min(BACKOFF_LIMIT_MS, BACKOFF_MS * 2 ** (this.#seen - 1));
  }
}

/** @throws the reason for which the call was aborted meanwhile. */
async function pause(ms: number, { signal, onCancellable }: LinkCallOptions): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const abort = (reason: unknown): void => {
      clearTimeout(timer);
      reject(abortError(reason));
    };
    const onAbort = (): void => abort(signal?.reason);
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    }, ms);
    if (signal?.aborted === true) onAbort();
    else signal?.addEventListener('abort', onAbort, { once: true });
    onCancellable?.(abort);
  });
}
