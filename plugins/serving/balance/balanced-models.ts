import { fromJson, type JsonObject, toJson } from '@bufbuild/protobuf';
import type { Host } from 'lamella/sdk';
import { type Traffic, TrafficSchema } from 'lamella/proto/lamella/serving/v1/balance_service';
import { BalanceMetrics } from './balance-metrics.ts';
import { CanaryStore } from './canary-store.ts';
import type { CanaryProgress, CanaryTrial } from './canary-trial.ts';
import { BalancedModel } from './balanced-model.ts';
import type { BalanceConfig } from './config.ts';
import { CanaryNotRunning, TrafficFull, TrafficNotFound } from './errors.ts';
import { Exposures, exposureSalt } from './exposures.ts';
import { readTraffic } from './read-settings.ts';

/** Topic of changes, declared in the manifest. */
export const CHANGES_TOPIC = 'serving.balance.changes';

const PREFIX = 'traffic/';

/** Time between two looks for the gauges, in milliseconds. */
const SHOW_MS = 1_000;

/** Traffic as it is kept. */
interface TrafficRecord {
  readonly traffic: JsonObject;
  readonly updateTimeMs: number;
}

/** A balanced model and what it was made from. */
export interface BalancedEntry {
  readonly traffic: Traffic;
  readonly model: BalancedModel;
  readonly updateTimeMs: number;
}

/** All models whose requests are balanced; kept over restarts. */
export class BalancedModels {
  readonly #host: Host<BalanceConfig>;
  readonly #metrics: BalanceMetrics;
  readonly #entries: Map<string, BalancedEntry> = new Map();
  readonly #canaries: CanaryStore;
  #exposures: Exposures | undefined;
  #showing: NodeJS.Timeout | undefined;
  /** The last write of a canary. */
  #saved: Promise<void> = Promise.resolve();
  /** Changes of all models come one after the other: what is written last also holds. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(host: Host<BalanceConfig>) {
    this.#host = host;
    this.#metrics = new BalanceMetrics(host.metrics);
    this.#canaries = new CanaryStore(host.storage);
  }

  /** @throws TRAFFIC_NOT_FOUND */
  get(name: string): BalancedEntry {
    const found = this.#entries.get(name);
    if (found === undefined) throw new TrafficNotFound({ model: name.slice(0, 200) });
    return found;
  }

  all(): readonly BalancedEntry[] {
    return [...this.#entries.values()];
  }

  /** Takes up what was set before; what cannot be any more is logged and left out. */
  async restore(): Promise<void> {
    this.#exposures = new Exposures(this.#host as Host, await exposureSalt(this.#host.storage));
    for await (const { key, value } of this.#host.storage.range(PREFIX)) {
      const { traffic, updateTimeMs } = value as TrafficRecord;
      try {
        await this.#enter(fromJson(TrafficSchema, traffic, { ignoreUnknownFields: true }), updateTimeMs);
      } catch (error) {
        this.#host.log.error('Traffic that was kept cannot be taken up', { key, error });
      }
    }
    this.#showing = setInterval(() => this.#show(), SHOW_MS).unref();
    await this.#tell('restored', {});
  }

  /** Sets the traffic of a model. @throws TRAFFIC_INVALID, TRAFFIC_FULL and what a connection may be refused with */
  async set(traffic: Traffic, isCheckOnly: boolean): Promise<BalancedEntry> {
    return this.#inTurn(async () => {
      const updateTimeMs = this.#host.clock.now();
      const { maxModels } = this.#host.config;
      if (!this.#entries.has(traffic.model) && this.#entries.size >= maxModels)
        throw new TrafficFull({ limit: String(maxModels) });
      if (isCheckOnly) return this.#checked(traffic, updateTimeMs);
      const before = this.#entries.get(traffic.model);
      const model = await this.#make(traffic, before?.model);
      const record: TrafficRecord = { traffic: toJson(TrafficSchema, traffic) as JsonObject, updateTimeMs };
      try {
        await this.#host.storage.put(PREFIX + traffic.model, record);
      } catch (error) {
        await model.close();
        throw error;
      }
      const entry = { traffic, model, updateTimeMs };
      this.#entries.set(traffic.model, entry);
      await before?.model.close();
      await this.#tell('set', { model: traffic.model });
      return entry;
    });
  }

  async #checked(traffic: Traffic, updateTimeMs: number): Promise<BalancedEntry> {
    const model = await this.#make(traffic, undefined);
    await model.close();
    return { traffic, model, updateTimeMs };
  }

  /** @throws TRAFFIC_NOT_FOUND */
  async delete(name: string): Promise<void> {
    await this.#inTurn(async () => {
      const { model } = this.get(name);
      await this.#host.storage.delete(PREFIX + name);
      await this.#canaries.delete(name);
      this.#entries.delete(name);
      await model.close();
      await this.#tell('deleted', { model: name });
    });
  }

  async #enter(traffic: Traffic, updateTimeMs: number): Promise<void> {
    const model = await this.#make(traffic, undefined);
    this.#entries.set(traffic.model, { traffic, model, updateTimeMs });
  }

  async #make(traffic: Traffic, before: BalancedModel | undefined): Promise<BalancedModel> {
    const settings = readTraffic(traffic);
    const progress = await this.#canaries.get(traffic);
    return new BalancedModel(settings, {
      host: this.#host as Host,
      metrics: this.#metrics,
      exposures: this.#exposures as Exposures,
      sequences: before?.sequences,
      progress,
      onCanary: (changed) => this.#keepCanary(traffic, changed),
    });
  }

  /** Holds at once and is written then: a kill in between leaves the canary where it was before. */
  #keepCanary(traffic: Traffic, progress: CanaryProgress): void {
    const { model } = traffic;
    const { state, step, reason } = progress;
    this.#host.log.info('A canary has moved', { model, state, step, reason });
    this.#saved = this.#inTurn(async () => {
      await this.#canaries.put(traffic, progress);
      await this.#tell(`canary ${state}`, { model, step, reason });
    });
    this.#saved.catch((error: unknown) =>
      this.#host.log.error('The progress of a canary could not be kept', { model, error }),
    );
  }

  /**
   * Moves a canary by hand; resolves when that is kept.
   *
   * @param states - Those that it may be moved from.
   * @throws TRAFFIC_NOT_FOUND, CANARY_NOT_RUNNING
   */
  async moveCanary(
    name: string,
    states: readonly CanaryProgress['state'][],
    move: (trial: CanaryTrial) => void,
  ): Promise<BalancedEntry> {
    const entry = this.get(name);
    const { trial } = entry.model;
    if (trial === undefined || !states.includes(trial.progress.state))
      throw new CanaryNotRunning({ model: name, state: trial?.progress.state ?? 'not there' });
    move(trial);
    await this.#saved;
    return entry;
  }

  /** Tells all, the inference service among them, which asks then what is balanced. */
  async #tell(change: string, facts: Readonly<Record<string, unknown>>): Promise<void> {
    await this.#host.events.publish(CHANGES_TOPIC, { change, ...facts });
  }

  async #inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = this.#turn.then(work);
    this.#turn = result.catch(() => undefined);
    return result;
  }

  /** Gauges that no request moves, or that every request would. */
  #show(): void {
    for (const { model } of this.all()) model.show();
  }

  async close(): Promise<void> {
    clearInterval(this.#showing);
    await Promise.all(this.all().map(({ model }) => model.close()));
  }
}
