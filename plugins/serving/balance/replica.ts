import type { CallContext, Client } from 'lamella/sdk';
import type {
  GRPCInferenceService,
  ModelInferRequest,
  ModelInferResponse,
} from 'lamella/proto/inference/grpc_inference_service';
import { endpointError } from './errors.ts';
import { type Failure, failureOf } from './failure.ts';
import { HealthState } from './health-state.ts';
import { hashOf } from './key-hash.ts';
import { OutlierRecord } from './outliers.ts';
import type { Choice } from './pickers.ts';

/** Tells the inference service that this request was balanced already. */
export const BALANCED_HEADER = 'lamella-balanced';

/** What a replica is made from. */
export interface ReplicaParts {
  /** `host:port`, or empty for this kernel. */
  readonly address: string;
  readonly weight: number;
  readonly client: Client<typeof GRPCInferenceService>;
  /** Ends the connection; does nothing within this kernel. */
  readonly disconnect: () => Promise<void>;
}

/** What a request to a replica came to. */
export interface Outcome {
  readonly replica: Replica;
  readonly latencyMs: number;
  readonly failure: Failure | undefined;
}

/** Options of one request to a replica. */
export interface SendOptions {
  /** The call on whose behalf it is sent; without one it has its own time. */
  readonly context?: CallContext;
  readonly timeoutMs?: number;
  /** Cancels this request alone. */
  readonly signal?: AbortSignal;
}

/** One place that answers for a split, and what is known of it. */
export class Replica implements Choice {
  readonly address: string;
  readonly weight: number;
  readonly seed: number;
  readonly client: Client<typeof GRPCInferenceService>;
  readonly outlier: OutlierRecord = new OutlierRecord();
  readonly health: HealthState = new HealthState();
  inFlight = 0;
  requests = 0;
  failures = 0;
  /** Until then it has asked for a rest. */
  restUntilMs = 0;
  readonly #disconnect: () => Promise<void>;
  #isClosing = false;

  constructor({ address, weight, client, disconnect }: ReplicaParts) {
    this.address = address;
    this.weight = weight;
    this.seed = hashOf(address);
    this.client = client;
    this.#disconnect = disconnect;
  }

  /** Its address for people and metrics. */
  get name(): string {
    return this.address === '' ? 'local' : this.address;
  }

  /** Why it gets no requests; empty when it does. */
  obstacle(nowMs: number): string {
    if (!this.health.isHealthy) return this.health.obstacle;
    return this.outlier.isEjected(nowMs) ? this.outlier.reason : '';
  }

  /** Sends a request and tells what it came to. @throws what the endpoint answers */
  async send(
    request: ModelInferRequest,
    options: SendOptions,
    report: (outcome: Outcome) => void,
  ): Promise<ModelInferResponse> {
    const startMs = performance.now();
    this.inFlight += 1;
    this.requests += 1;
    try {
      const headers = [[BALANCED_HEADER, '1']] as const;
      const response = await this.client.modelInfer(request, { ...options, headers });
      this.#leave();
      report({ replica: this, latencyMs: performance.now() - startMs, failure: undefined });
      return response;
    } catch (error) {
      this.#leave();
      const latencyMs = performance.now() - startMs;
      const failure = failureOf(error, latencyMs);
      if (failure.isFault) this.failures += 1;
      report({ replica: this, latencyMs, failure });
      throw this.address === '' ? error : endpointError(this.address, error);
    }
  }

  #leave(): void {
    this.inFlight -= 1;
    if (this.#isClosing && this.inFlight === 0) void this.#disconnect();
  }

  /** Ends its connection once its requests are answered. */
  async close(): Promise<void> {
    this.#isClosing = true;
    if (this.inFlight === 0) await this.#disconnect();
  }
}
