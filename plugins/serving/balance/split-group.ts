import type { Client, Host } from 'lamella/sdk';
import { Health } from 'lamella/proto/grpc/health/v1/health';
import { GRPCInferenceService } from 'lamella/proto/inference/grpc_inference_service';
import { BalancePolicy } from 'lamella/proto/lamella/serving/v1/balance_service';
import { NoEndpoint } from './errors.ts';
import { HealthWatch, type WatchedReplica } from './health-watch.ts';
import { Outliers } from './outliers.ts';
import { ConsistentHash, LeastLoaded, type Picker, PowerOfTwo, RoundRobin, Weighted } from './pickers.ts';
import { type Outcome, Replica } from './replica.ts';
import type { SplitSettings, TargetSettings, TrafficSettings } from './settings.ts';

/** The endpoints of one split. */
export class SplitGroup {
  readonly settings: SplitSettings;
  readonly replicas: readonly Replica[];
  readonly #model: string;
  readonly #picker: Picker;
  readonly #outliers: Outliers;
  readonly #watch: HealthWatch;

  /** @throws CAPABILITY_DENIED, SECRET_MISSING, SERVER_TARGET_INVALID */
  constructor(host: Host, traffic: TrafficSettings, split: SplitSettings) {
    this.settings = split;
    this.#model = traffic.model;
    const watched = connectAll(host, split.targets);
    this.replicas = watched.map(({ replica }) => replica);
    this.#picker = pickerOf(traffic.policy);
    this.#outliers = new Outliers(
      traffic.outlier,
      this.replicas.map(({ outlier }) => outlier),
    );
    this.#watch = new HealthWatch(split, traffic.health, host.log);
    this.#watch.start(watched);
  }

  /**
   * An endpoint that takes requests; one of those that were tried only where that is allowed and there is no other.
   *
   * @throws NO_ENDPOINT
   */
  next(keyHash: number, tried: ReadonlySet<Replica>, mayGoBack: boolean): Replica {
    const found = this.other(keyHash, tried) ?? (mayGoBack ? this.other(keyHash, NONE) : undefined);
    if (found !== undefined) return found;
    const nowMs = performance.now();
    const obstacles = this.replicas.map((replica) => replica.obstacle(nowMs)).filter((text) => text !== '');
    throw new NoEndpoint({
      model: this.#model,
      split: this.settings.label,
      obstacle: obstacles[0] ?? 'all were tried',
    });
  }

  /** An endpoint that was not tried. */
  other(keyHash: number, tried: ReadonlySet<Replica>): Replica | undefined {
    const nowMs = performance.now();
    const open = this.replicas.filter(
      (replica) => replica.health.isHealthy && !replica.outlier.isEjected(nowMs) && !tried.has(replica),
    );
    const rested = open.filter(({ restUntilMs }) => restUntilMs <= nowMs);
    return this.#picker.pick(rested.length > 0 ? rested : open, keyHash);
  }

  /** The endpoint of an address, whatever its state. */
  at(address: string): Replica | undefined {
    return this.replicas.find((replica) => replica.address === address);
  }

  /** Takes in what a request came to. */
  learn({ replica, failure }: Outcome): void {
    const nowMs = performance.now();
    if (failure?.pushbackMs !== undefined)
      replica.restUntilMs = nowMs + Math.min(failure.pushbackMs, MAX_REST_MS);
    // What the caller is to blame for says nothing of the endpoint, neither good nor bad.
    if (failure === undefined || failure.isFault)
      this.#outliers.record(replica.outlier, failure !== undefined, nowMs);
  }

  /** Asks no longer for health. */
  unwatch(): void {
    this.#watch.close();
  }

  /** Ends the connections once their requests are answered. */
  async close(): Promise<void> {
    this.unwatch();
    await Promise.all(this.replicas.map((replica) => replica.close()));
  }
}

const NONE: ReadonlySet<Replica> = new Set();
const MAX_REST_MS = 30_000;

function pickerOf(policy: BalancePolicy): Picker {
  switch (policy) {
    case BalancePolicy.ROUND_ROBIN:
      return new RoundRobin();
    case BalancePolicy.LEAST_LOADED:
      return new LeastLoaded();
    case BalancePolicy.WEIGHTED:
      return new Weighted();
    case BalancePolicy.CONSISTENT_HASH:
      return new ConsistentHash();
    default:
      return new PowerOfTwo();
  }
}

/** All or none: what was connected is let go when one may not be reached. */
function connectAll(host: Host, targets: readonly TargetSettings[]): readonly WatchedReplica[] {
  const made: WatchedReplica[] = [];
  try {
    for (const target of targets) made.push(connect(host, target));
    return made;
  } catch (error) {
    for (const { replica } of made) void replica.close();
    throw error;
  }
}

function connect(host: Host, target: TargetSettings): WatchedReplica {
  const { address, weight, tls, plaintext, tokenSecret } = target;
  if (address === '') {
    const client: Client<typeof GRPCInferenceService> = host.call(GRPCInferenceService);
    const disconnect = (): Promise<void> => Promise.resolve();
    return { replica: new Replica({ address, weight, client, disconnect }), health: undefined };
  }
  const headers = new Map(
    tokenSecret === '' ? [] : [['authorization', `Bearer ${host.secrets.get(tokenSecret)}`] as const],
  );
  const server = host.connect({ address, tls, plaintext, headers });
  const client = server.call(GRPCInferenceService);
  return {
    replica: new Replica({ address, weight, client, disconnect: () => server.close() }),
    health: server.call(Health),
  };
}
