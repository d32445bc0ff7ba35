import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import {
  HealthCheckRequestSchema,
  HealthCheckResponse_ServingStatus,
  HealthCheckResponseSchema,
} from '../../proto/gen/grpc/health/v1/health_pb.ts';
import { Code, isDeclaredError, type Logger } from '../../sdk/index.ts';
import { addressOf } from '../link/connection.ts';
import { LinkClient, type LinkTarget } from '../link/link-client.ts';
import { StatusError } from '../status-error.ts';

/** When an address counts as healthy. */
export interface EndpointRules {
  /** Time between two health checks, in milliseconds. */
  readonly checkIntervalMs: number;
  /** Failed checks in a row after which an address gets no more calls. */
  readonly checkFailures: number;
}

/** Calls in a row that fail as UNAVAILABLE after which an address gets no more for a while. */
const ERROR_LIMIT = 5;

/** First time without calls after errors, in milliseconds; doubled each time up to the limit. */
const EJECTION_MS = 1_000;
const EJECTION_LIMIT_MS = 30_000;

/** First pause before an address that is down is tried again, in milliseconds. */
const RETRY_MS = 250;

const CHECK_PATH = '/grpc.health.v1.Health/Check';
const CHECK: Uint8Array = toBinary(HealthCheckRequestSchema, create(HealthCheckRequestSchema));

/** One address of a plugin that runs elsewhere: connected, checked, taken out on errors and put back. */
export class Endpoint {
  readonly address: string;
  readonly #target: LinkTarget;
  readonly #rules: EndpointRules;
  readonly #log: Logger;
  readonly #onChange: () => void;
  #client: LinkClient | undefined;
  #isServing = false;
  #obstacle = 'not connected yet';
  #failedChecks = 0;
  #errors = 0;
  #ejections = 0;
  #ejectedUntilMs = 0;
  #isClosed = false;
  #wake: (() => void) | undefined;
  readonly #watching: Promise<void>;

  constructor(target: LinkTarget, rules: EndpointRules, parts: { log: Logger; onChange: () => void }) {
    this.#target = target;
    this.address = addressOf(target);
    this.#rules = rules;
    this.#log = parts.log;
    this.#onChange = parts.onChange;
    this.#watching = this.#watch();
  }

  /** What stands in the way of calls; for people. */
  get obstacle(): string {
    return this.#obstacle;
  }

  /** The link, when calls may go there now. */
  usable(nowMs: number): LinkClient | undefined {
    return this.#isServing && nowMs >= this.#ejectedUntilMs ? this.#client : undefined;
  }

  /** What became of a call: an address that only fails gets none for a while. */
  note(error: unknown): void {
    if (!isUnavailable(error)) {
      this.#errors = 0;
      this.#ejections = 0;
      return;
    }
    this.#errors += 1;
    if (this.#errors < ERROR_LIMIT) return;
    this.#errors = 0;
    const pauseMs = Math.min(EJECTION_LIMIT_MS, EJECTION_MS * 2 ** this.#ejections);
    this.#ejections += 1;
    this.#ejectedUntilMs = Date.now() + pauseMs;
    this.#obstacle = (error as Error).message;
    this.#log.warn('an address gets no calls for a while: they only failed', {
      address: this.address,
      pauseMs,
      error,
    });
  }

  /** Stops checking; running calls may end. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#wake?.();
    await this.#watching;
    await this.#client?.close();
  }

  async #watch(): Promise<void> {
    let pauseMs = RETRY_MS;
    while (!this.#isClosed) {
      await this.#check();
      pauseMs = this.#isServing ? RETRY_MS : Math.min(this.#rules.checkIntervalMs, pauseMs * 2);
      if (!this.#isClosed) await this.#pause(this.#isServing ? this.#rules.checkIntervalMs : pauseMs);
    }
  }

  async #pause(ms: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms).unref();
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  async #check(): Promise<void> {
    try {
      const client = this.#client ?? (await this.#connect());
      await checkHealth(client, this.#rules.checkIntervalMs);
      this.#failedChecks = 0;
      this.#set(true, '');
    } catch (error) {
      this.#failedChecks += 1;
      const isDown = this.#client === undefined || this.#failedChecks >= this.#rules.checkFailures;
      if (isDown) this.#set(false, (error as Error).message);
    }
  }

  async #connect(): Promise<LinkClient> {
    const client = await LinkClient.connect(this.#target);
    this.#client = client;
    void client.closed.then(() => {
      if (this.#client !== client) return;
      this.#client = undefined;
      this.#set(false, 'the connection ended and nobody listens');
      this.#wake?.();
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

/** @throws what keeps the server from serving. One without a health service serves. */
async function checkHealth(client: LinkClient, limitMs: number): Promise<void> {
  try {
    const { message } = await client.unary(CHECK_PATH, CHECK, { deadlineMs: Date.now() + limitMs });
    const { status } = fromBinary(HealthCheckResponseSchema, message);
    if (status !== HealthCheckResponse_ServingStatus.SERVING) {
      throw new Error('its health service does not answer SERVING');
    }
  } catch (error) {
    if (!(error instanceof StatusError) || error.code !== Code.UNIMPLEMENTED) throw error;
  }
}

function isUnavailable(error: unknown): boolean {
  const isStatus = isDeclaredError(error) || error instanceof StatusError;
  return isStatus && error.code === Code.UNAVAILABLE;
}
