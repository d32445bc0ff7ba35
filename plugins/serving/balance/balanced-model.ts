import type { CallContext, Host } from 'lamella/sdk';
import type { ModelInferRequest, ModelInferResponse } from 'lamella/proto/inference/grpc_inference_service';
import type { BalanceMetrics } from './balance-metrics.ts';
import { type CanaryProgress, CanaryTrial } from './canary-trial.ts';
import { SequenceLost, SplitUnknown } from './errors.ts';
import type { Exposures } from './exposures.ts';
import { Hedging } from './hedging.ts';
import { combined, hashOf, unitOf } from './key-hash.ts';
import { LatencyWindow } from './latency-window.ts';
import { Mirror } from './mirror.ts';
import type { Outcome, Replica } from './replica.ts';
import { keyValue, type SequencePlace, sequenceOf } from './request-keys.ts';
import { Retries } from './retries.ts';
import { type SequenceHome, Sequences } from './sequences.ts';
import type { TrafficSettings } from './settings.ts';
import { type Share, shareAt, sharesWith } from './shares.ts';
import { SplitGroup } from './split-group.ts';

/** What a balanced model works with. */
export interface BalancedModelParts {
  readonly host: Host;
  readonly metrics: BalanceMetrics;
  readonly exposures: Exposures;
  /** Of the traffic before, whose sequences go on. */
  readonly sequences?: Sequences | undefined;
  /** How far its canary had come. */
  readonly progress?: CanaryProgress | undefined;
  /** Told when the canary moves. */
  readonly onCanary: (progress: CanaryProgress) => void;
}

/** One request on its way. */
interface Journey {
  readonly group: SplitGroup;
  readonly request: ModelInferRequest;
  readonly context: CallContext;
  readonly keyHash: number;
  /** Value of the sticky key. */
  readonly sticky: string | undefined;
}

/** Answers the requests of one model name by its splits and their endpoints. */
export class BalancedModel {
  readonly settings: TrafficSettings;
  readonly sequences: Sequences;
  readonly groups: ReadonlyMap<string, SplitGroup>;
  readonly #parts: BalancedModelParts;
  readonly #retries: Retries;
  readonly #hedging: Hedging | undefined;
  readonly #latencies: LatencyWindow = new LatencyWindow();
  readonly #seed: number;
  readonly trial: CanaryTrial | undefined;
  readonly mirror: Mirror | undefined;
  /** Requests on their way. */
  #running = 0;
  #isClosing = false;
  #shares: readonly Share[];

  /** @throws CAPABILITY_DENIED, SECRET_MISSING, SERVER_TARGET_INVALID */
  constructor(settings: TrafficSettings, parts: BalancedModelParts) {
    const { model, hedge } = settings;
    this.settings = settings;
    this.#parts = parts;
    this.#seed = hashOf(model);
    this.#shares = settings.splits;
    this.sequences = parts.sequences ?? new Sequences(model);
    const { metrics } = parts;
    this.#retries = new Retries(settings, (verdict) => metrics.retried(model, verdict));
    if (hedge !== undefined) this.#hedging = new Hedging(hedge, this.#latencies, () => metrics.hedged(model));
    this.groups = this.#connectAll();
    this.trial = this.#makeTrial();
    this.mirror = this.#makeMirror();
  }

  #makeTrial(): CanaryTrial | undefined {
    const { canary, splits } = this.settings;
    if (canary === undefined) return undefined;
    const { host, progress, onCanary } = this.#parts;
    const onChange = (changed: CanaryProgress): void => {
      share();
      onCanary(changed);
    };
    const trial = new CanaryTrial(canary, progress, { clock: host.clock, onChange });
    const share = (): void => {
      this.#shares = sharesWith(splits, trial.share);
    };
    share();
    return trial;
  }

  #makeMirror(): Mirror | undefined {
    const { mirror, model } = this.settings;
    const group = this.groups.get(mirror?.split ?? '');
    if (mirror === undefined || group === undefined) return undefined;
    const { host, metrics } = this.#parts;
    return new Mirror(mirror, {
      group,
      clock: host.clock,
      onResult: (result) => metrics.mirrored(model, result),
      onOutcome: (outcome) => {
        group.learn(outcome);
        metrics.sent(model, group.settings.label, outcome);
      },
    });
  }

  #connectAll(): Map<string, SplitGroup> {
    const groups = new Map<string, SplitGroup>();
    try {
      for (const split of this.settings.splits)
        groups.set(split.label, new SplitGroup(this.#parts.host, this.settings, split));
      return groups;
    } catch (error) {
      for (const group of groups.values()) void group.close();
      throw error;
    }
  }

  /** Answers a request under the name that the caller knows. */
  async infer(request: ModelInferRequest, context: CallContext): Promise<ModelInferResponse> {
    this.#running += 1;
    try {
      return await this.#answer(request, context);
    } finally {
      this.#running -= 1;
      if (this.#isClosing && this.#running === 0) void this.#disconnect();
    }
  }

  async #answer(request: ModelInferRequest, context: CallContext): Promise<ModelInferResponse> {
    const sequence = sequenceOf(request);
    const journey = this.#begin(request, context);
    const response =
      sequence === undefined ? await this.#tries(journey) : await this.#inSequence(journey, sequence);
    // A copy out of its sequence would mean nothing.
    if (sequence === undefined) this.mirror?.copy(request, response);
    this.#noteExposure(journey);
    return { ...response, modelName: this.settings.model };
  }

  #noteExposure({ group, sticky }: Journey): void {
    const { experiment, model } = this.settings;
    if (experiment === '' || sticky === undefined) return;
    this.#parts.exposures.note({ experiment, model, split: group.settings.label, key: sticky });
  }

  /** The split that a request names, or one of those that share the requests. @throws SPLIT_UNKNOWN */
  groupFor(version: string, point: number): SplitGroup {
    const label = version === '' ? shareAt(this.#shares, point)?.label : version;
    const found =
      this.groups.get(label ?? '') ??
      [...this.groups.values()].find(({ settings }) => version !== '' && settings.version === version);
    if (found !== undefined) return found;
    const known = [...this.groups.keys()].join(', ');
    throw new SplitUnknown({ model: this.settings.model, split: version.slice(0, 100), known });
  }

  #begin(request: ModelInferRequest, context: CallContext): Journey {
    const { stickyKey, hashKey } = this.settings;
    const sticky = keyValue(stickyKey, request, context);
    const point = sticky === undefined ? Math.random() : unitOf(combined(this.#seed, hashOf(sticky)));
    const group = this.groupFor(request.modelVersion, point);
    const key = hashKey === stickyKey ? sticky : keyValue(hashKey, request, context);
    const keyHash = key === undefined ? Math.floor(Math.random() * 0x1_0000_0000) : hashOf(key);
    return { group, request: addressed(request, group), context, keyHash, sticky };
  }

  async #tries(journey: Journey): Promise<ModelInferResponse> {
    const { group, context, keyHash } = journey;
    const tried = new Set<Replica>();
    this.#retries.begin();
    let failure: unknown;
    for (let attempt = 1; ; attempt += 1) {
      const replica = this.#nextOf(group, { keyHash, tried, failure });
      tried.add(replica);
      try {
        return attempt === 1 && this.#hedging !== undefined
          ? await this.#hedged(journey, replica, { tried, hedging: this.#hedging })
          : await this.#send(journey, replica);
      } catch (error) {
        failure = error;
        await this.#retries.after(error, attempt, context);
      }
    }
  }

  /** @throws NO_ENDPOINT, or the failure of the try before when nobody else is left */
  #nextOf(
    group: SplitGroup,
    { keyHash, tried, failure }: { keyHash: number; tried: ReadonlySet<Replica>; failure: unknown },
  ): Replica {
    try {
      return group.next(keyHash, tried, this.settings.isIdempotent);
    } catch (error) {
      throw failure ?? error;
    }
  }

  #hedged(
    journey: Journey,
    replica: Replica,
    { tried, hedging }: { tried: Set<Replica>; hedging: Hedging },
  ): Promise<ModelInferResponse> {
    return hedging.race(
      (signal) => this.#send(journey, replica, signal),
      () => {
        const other = journey.group.other(journey.keyHash, tried);
        if (other === undefined) return undefined;
        return (signal) => {
          tried.add(other);
          return this.#send(journey, other, signal);
        };
      },
    );
  }

  #send(
    { group, request, context }: Journey,
    replica: Replica,
    signal?: AbortSignal,
  ): Promise<ModelInferResponse> {
    const options = signal === undefined ? { context } : { context, signal };
    return replica.send(request, options, (outcome) => this.#learn(group, outcome));
  }

  #learn(group: SplitGroup, outcome: Outcome): void {
    group.learn(outcome);
    if (outcome.failure === undefined) this.#latencies.observe(outcome.latencyMs, performance.now());
    this.trial?.learn(group.settings.label, outcome);
    this.#parts.metrics.sent(this.settings.model, group.settings.label, outcome);
  }

  /** Requests of a sequence go where its state is, once each. @throws SEQUENCE_LOST, SEQUENCES_FULL */
  async #inSequence(journey: Journey, { id, isStart, isEnd }: SequencePlace): Promise<ModelInferResponse> {
    const home = isStart ? undefined : this.sequences.homeOf(id);
    const { group, replica } = home === undefined ? this.#newHome(journey) : this.#homeAt(id, home);
    if (home === undefined && !isEnd)
      this.sequences.begin(id, { split: group.settings.label, address: replica.address });
    const request = addressed(journey.request, group);
    const response = await this.#send({ ...journey, group, request }, replica);
    if (isEnd) this.sequences.end(id);
    return response;
  }

  /** @throws NO_ENDPOINT */
  #newHome({ group, keyHash }: Journey): { group: SplitGroup; replica: Replica } {
    return { group, replica: group.next(keyHash, new Set(), false) };
  }

  /** @throws SEQUENCE_LOST */
  #homeAt(id: string, { split, address }: SequenceHome): { group: SplitGroup; replica: Replica } {
    const group = this.groups.get(split);
    const replica = group?.at(address);
    const obstacle = replica?.obstacle(performance.now()) ?? 'it is no endpoint any more';
    if (group !== undefined && replica !== undefined && obstacle === '') return { group, replica };
    this.sequences.end(id);
    throw new SequenceLost({ model: this.settings.model, obstacle });
  }

  /** Writes how its endpoints and its canary are into the gauges. */
  show(): void {
    const { model } = this.settings;
    const nowMs = performance.now();
    for (const [split, { replicas }] of this.groups) {
      for (const replica of replicas)
        this.#parts.metrics.show({
          labels: { model, split, endpoint: replica.name },
          isAvailable: replica.obstacle(nowMs) === '',
          inFlight: replica.inFlight,
          ejections: replica.outlier.ejections,
        });
    }
    if (this.trial !== undefined) this.#parts.metrics.canary(model, this.trial.percent);
  }

  /** Lets running requests end, with all their tries, then the connections. */
  async close(): Promise<void> {
    this.#isClosing = true;
    for (const group of this.groups.values()) group.unwatch();
    if (this.#running === 0) await this.#disconnect();
  }

  async #disconnect(): Promise<void> {
    await Promise.all([...this.groups.values()].map((group) => group.close()));
  }
}

/** The request as the endpoints of a split know it. */
function addressed(request: ModelInferRequest, { settings }: SplitGroup): ModelInferRequest {
  return { ...request, modelName: settings.model, modelVersion: settings.version };
}
