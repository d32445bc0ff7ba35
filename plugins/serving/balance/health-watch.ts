import { type Client, Code, type Logger } from 'lamella/sdk';
import {
  type Health,
  HealthCheckResponse_ServingStatus as Serving,
} from 'lamella/proto/grpc/health/v1/health';
import { GRPCInferenceService } from 'lamella/proto/inference/grpc_inference_service';
import { HealthCheck } from 'lamella/proto/lamella/serving/v1/balance_service';
import { failureOf } from './failure.ts';
import { BALANCED_HEADER, type Replica } from './replica.ts';
import type { HealthSettings, SplitSettings } from './settings.ts';

type HealthClient = Client<typeof Health>;

/** A replica and how to ask its server for its health. */
export interface WatchedReplica {
  readonly replica: Replica;
  /** Not there within this kernel. */
  readonly health: HealthClient | undefined;
}

/** Asks the endpoints of a split again and again whether they serve. */
export class HealthWatch {
  readonly #split: SplitSettings;
  readonly #settings: HealthSettings;
  readonly #log: Logger;
  readonly #controller: AbortController = new AbortController();
  /** Those that have told for the inference service by its name. */
  readonly #told: Set<Replica> = new Set();
  readonly #timers: Set<NodeJS.Timeout> = new Set();

  constructor(split: SplitSettings, settings: HealthSettings, log: Logger) {
    this.#split = split;
    this.#settings = settings;
    this.#log = log;
  }

  start(replicas: readonly WatchedReplica[]): void {
    if (this.#settings.check === HealthCheck.NONE) return;
    for (const watched of replicas) void this.#look(watched);
  }

  async #look(watched: WatchedReplica): Promise<void> {
    const obstacle = await this.#ask(watched);
    if (this.#controller.signal.aborted) return;
    const { replica } = watched;
    if (replica.health.take(obstacle, this.#settings)) {
      const facts = { split: this.#split.label, address: replica.address };
      if (obstacle === '') this.#log.info('An endpoint serves', facts);
      else this.#log.warn('An endpoint does not serve', { ...facts, reason: obstacle });
    }
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      void this.#look(watched);
    }, this.#settings.intervalMs).unref();
    this.#timers.add(timer);
  }

  /** Why it does not serve; empty when it does. */
  async #ask({ replica, health }: WatchedReplica): Promise<string> {
    const options = { signal: this.#controller.signal, timeoutMs: this.#settings.timeoutMs };
    try {
      if (this.#settings.check === HealthCheck.GRPC_HEALTH && health !== undefined)
        return await this.#askHealth(replica, health, options);
      const { model: name, version } = this.#split;
      const headers = [[BALANCED_HEADER, '1']] as const;
      const { ready } = await replica.client.modelReady({ name, version }, { ...options, headers });
      return ready ? '' : `it does not have '${name}'${version === '' ? '' : ` version ${version}`} ready`;
    } catch (error) {
      return failureOf(error, 0).message;
    }
  }

  async #askHealth(replica: Replica, health: HealthClient, options: AskOptions): Promise<string> {
    try {
      const { status } = await health.check({ service: GRPCInferenceService.typeName }, options);
      this.#told.add(replica);
      return sayOf(status);
    } catch (error) {
      if (failureOf(error, 0).code !== Code.NOT_FOUND) throw error;
      if (this.#told.has(replica)) return 'it does not provide inference any more';
      // Triton and others tell only for themselves as a whole.
      return sayOf((await health.check({ service: '' }, options)).status);
    }
  }

  close(): void {
    this.#controller.abort();
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
  }
}

interface AskOptions {
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
}

function sayOf(status: Serving): string {
  return status === Serving.SERVING ? '' : 'its health service does not answer SERVING';
}
