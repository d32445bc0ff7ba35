import type { CallContext, Host, Storage } from 'lamella/sdk';
import { isDeclaredError } from 'lamella/sdk';
import { atOnce } from './at-once.ts';
import type { InferConfig } from './config.ts';
import { dependentsOf } from './dependents.ts';
import { ModelUnknown, notExplicit } from './errors.ts';
import { FolderPoller } from './folder-poller.ts';
import { InferLog } from './infer-log.ts';
import { InferMetrics } from './infer-metrics.ts';
import { KeyedTurns } from './keyed-turns.ts';
import { LeavingModels } from './leaving-models.ts';
import { loadedRecords, PREFIX } from './load-records.ts';
import type { LoadRequest } from './load-request.ts';
import type { LoadedModel } from './loaded-model.ts';
import { createModelCache, type ModelCache } from './model-cache.ts';
import { type LoadRecord, ModelSources } from './model-sources.ts';
import type { ModelState } from './model-state.ts';
import { type LoadedVersions, openVersions } from './open-versions.ts';
import { RateLimiter } from './rate-limiter.ts';
import { RequestObserver } from './request-observer.ts';
import { Residency } from './residency.ts';
import { Sampler } from './sampler.ts';
import { Tracer } from './tracer.ts';

const RESTORE_AT_ONCE = 4;

interface LoadOrder {
  readonly record: LoadRecord;
  readonly context?: CallContext | undefined;
  /** True when an ensemble needs it. */
  readonly isStep?: boolean;
}

/** The models that are loaded: loads, replaces and unloads them, and remembers them over restarts. */
export class ModelRepository {
  readonly sources: ModelSources;
  readonly #config: InferConfig;
  readonly #storage: Storage;
  readonly observer: RequestObserver;
  readonly #log: InferLog;
  readonly #signal: AbortSignal;
  readonly #metrics: InferMetrics;
  readonly #cache: ModelCache;
  readonly #poller: FolderPoller;
  readonly #models: Map<string, LoadedVersions> = new Map();
  readonly #states: Map<string, ModelState> = new Map();
  readonly #turns: KeyedTurns = new KeyedTurns();
  readonly #leaving: LeavingModels;
  readonly #residency: Residency;
  readonly #limiter: RateLimiter | undefined;
  #ready = false;

  constructor(host: Host<InferConfig>) {
    this.#config = host.config;
    this.#storage = host.storage;
    this.#log = new InferLog(host.log);
    const tracer = new Tracer(host.storage.directory, host.log);
    this.observer = new RequestObserver(this.#log, tracer, new Sampler(host.metrics));
    this.#signal = host.signal;
    this.#metrics = new InferMetrics(host.metrics);
    this.#leaving = new LeavingModels(this.#log);
    this.#residency = new Residency({
      config: host.config,
      load: (model, record) => this.#loadForRequest(model, record),
      evict: (model) => this.#evict(model),
    });
    this.#limiter = host.config.rateLimit ? new RateLimiter() : undefined;
    this.#cache = createModelCache(host);
    this.sources = new ModelSources(host, this.#log);
    this.#poller = new FolderPoller({
      sources: this.sources,
      load: (model) => this.#load(model, { record: { source: 'folder' } }),
      unload: (model) => this.#unload(model),
      log: this.#log,
    });
  }

  /** True once the models of the last time were loaded, or could not be. */
  get ready(): boolean {
    return this.#ready;
  }

  /** The loaded model, its newest version if none is named. @throws MODEL_UNKNOWN if it is not loaded. */
  get(name: string, version: string = ''): LoadedModel {
    const model = this.#find(name, version);
    if (model !== undefined) return model;
    throw new ModelUnknown({ what: this.#models.has(name) ? `'${name}' version ${version}` : `'${name}'` });
  }

  /** The model that a request is for; it is loaded first where the options say so. @throws MODEL_UNKNOWN LOADS_FULL */
  forRequest(name: string, version: string): LoadedModel | Promise<LoadedModel> {
    const model = this.#models.get(name);
    if (model === undefined && this.#config.loadOnDemand) return this.#demand(name, version);
    if (model !== undefined) this.#residency.use(model);
    return this.get(name, version);
  }

  /** Tells whether a model, and the version asked for, answers requests. */
  has(name: string, version: string): boolean {
    return this.#find(name, version) !== undefined;
  }

  /** Numbers of the loaded versions of a model, ascending. */
  versions(name: string): readonly string[] {
    return [...(this.#models.get(name)?.versions.keys() ?? [])];
  }

  /** All loaded versions of one model, or of all models. @throws MODEL_UNKNOWN */
  loaded(name: string = '', version: string = ''): readonly LoadedModel[] {
    if (name === '') return [...this.#models.values()].flatMap(({ versions }) => [...versions.values()]);
    if (version !== '') return [this.get(name, version)];
    this.get(name);
    return [...(this.#models.get(name)?.versions.values() ?? [])];
  }

  /** States of all versions that are loaded, and of models that were or could not be. */
  states(): readonly ModelState[] {
    const ready = this.loaded().map(({ shape: { name, version } }) => ({
      name,
      version,
      state: 'READY',
      reason: '',
    }));
    return [...ready, ...[...this.#states.values()].filter(({ name }) => !this.#models.has(name))];
  }

  /**
   * Loads a model and puts it in the place of the one before, whose versions end once their requests are answered.
   * Versions that are the same stay. When one fails, everything stays as it was.
   *
   * @throws MODEL_NOT_REGISTERED MODEL_LOAD_FAILED MODEL_CONTROL_REFUSED
   */
  async load(name: string, request: LoadRequest = {}, context?: CallContext): Promise<void> {
    const record = await this.sources.recordFor(name, request);
    if (record.source === 'folder') this.#requireExplicit(name);
    try {
      await this.#load(name, { record, context });
    } catch (error) {
      await this.sources.discard(record);
      throw error;
    }
  }

  /**
   * Takes a model away; its requests are answered still.
   *
   * @param withDependents - True to take away the models of an ensemble's steps that no other one needs as well.
   * @throws MODEL_UNKNOWN MODEL_CONTROL_REFUSED
   */
  async unload(name: string, withDependents: boolean = false): Promise<void> {
    const versions = [...(this.#models.get(name)?.versions.values() ?? [])];
    const dependents = withDependents ? dependentsOf(versions, this.loaded()) : [];
    if (this.#models.get(name)?.record.source === 'folder') this.#requireExplicit(name);
    if (this.#residency.forget(name)) await this.#storage.delete(PREFIX + name);
    else await this.#unload(name);
    for (const dependent of dependents) if (this.#models.has(dependent)) await this.#unload(dependent);
  }

  /** Loads what was loaded when the plugin stopped; a model that fails is logged and listed with its reason. */
  async restore(): Promise<void> {
    const isExplicit = this.#config.modelControlMode === 'explicit';
    const records = await loadedRecords(this.#storage);
    const sent = new Set(records.map(([, record]) => (record.source === 'sent' ? record.folder : '')));
    await this.sources.forget((folder) => sent.has(folder));
    // Unless callers decide, the folders do.
    const followed = records.filter(([, { source }]) => isExplicit || source !== 'folder');
    for (const [name, record] of followed) if (record.isEvicted === true) this.#residency.left(name, record);
    const wanted = followed.filter(([, { isEvicted }]) => isEvicted !== true);
    await atOnce(wanted, RESTORE_AT_ONCE, ([model, record]) =>
      this.#load(model, { record }).catch((error: unknown) =>
        this.#log.error('A model of the last time could not be loaded', { model, error }),
      ),
    );
    if (this.#config.modelControlMode === 'none') await this.#poller.poll();
    if (this.#config.modelControlMode === 'poll') await this.#poller.start(this.#config.pollSeconds * 1_000);
    this.#ready = true;
  }

  /** Ends all models once their requests are answered. */
  async close(): Promise<void> {
    this.#ready = false;
    this.#poller.close();
    const models = this.loaded();
    this.#models.clear();
    this.#leaving.add(models);
    await this.#leaving.ended();
    await this.observer.tracer.close();
  }

  #find(name: string, version: string): LoadedModel | undefined {
    const model = this.#models.get(name);
    if (model === undefined) return undefined;
    return version === '' ? model.newest : model.versions.get(version);
  }

  #requireExplicit(name: string): void {
    const { modelControlMode: mode } = this.#config;
    if (mode === 'explicit') return;
    throw notExplicit(name, mode);
  }

  async #load(name: string, order: LoadOrder): Promise<void> {
    await this.#turns.run(name, async () => {
      const old = this.#models.get(name);
      const model = await this.#open(name, order);
      await this.#storage.put(PREFIX + name, model.record);
      this.#residency.use(model);
      this.#residency.forget(name);
      this.#models.set(name, model);
      this.#log.info('Model loaded', { model: name, versions: [...model.versions.keys()] });
      const kept = new Set(model.versions.values());
      this.#leaving.add([...(old?.versions.values() ?? [])].filter((version) => !kept.has(version)));
      if (old !== undefined) await this.sources.discard(old.record);
    });
    await this.#residency.keepLimits(this.#models, name);
  }

  async #demand(name: string, version: string): Promise<LoadedModel> {
    await this.#residency.demand(name);
    return this.get(name, version);
  }

  /** Loads for a request; not in the name of that call, since others wait for it as well. */
  async #loadForRequest(name: string, record: LoadRecord | undefined): Promise<void> {
    try {
      await (record === undefined ? this.load(name) : this.#load(name, { record }));
    } catch (error) {
      if (!isDeclaredError(error) || error.reason !== 'MODEL_NOT_REGISTERED') throw error;
      throw new ModelUnknown({ what: `'${name.slice(0, 100)}'` }, { cause: error });
    }
  }

  async #loadStep(name: string, context: CallContext | undefined): Promise<void> {
    if (this.#models.has(name)) return;
    await this.#load(name, { record: await this.sources.recordFor(name, {}), context, isStep: true });
  }

  /** Takes a model away that comes back when it is asked for. */
  async #evict(name: string): Promise<void> {
    await this.#turns.run(name, async () => {
      const model = this.#models.get(name);
      if (model === undefined) return;
      await this.#storage.put(PREFIX + name, { ...model.record, isEvicted: true });
      this.#residency.left(name, model.record);
      this.#models.delete(name);
      const reason =
        'it was unloaded, since others were used later and the limit of loaded models is reached';
      this.#states.set(name, { name, version: model.newest.shape.version, state: 'UNAVAILABLE', reason });
      this.#log.info('Model unloaded to keep the limit', { model: name });
      this.#leaving.add([...model.versions.values()]);
    });
  }

  async #unload(name: string): Promise<void> {
    await this.#turns.run(name, async () => {
      const models = this.loaded(name);
      const record = this.#models.get(name)?.record;
      await this.#storage.delete(PREFIX + name);
      this.#models.delete(name);
      const version = models.at(-1)?.shape.version ?? '';
      this.#states.set(name, { name, version, state: 'UNAVAILABLE', reason: 'unloaded' });
      this.#log.info('Model unloaded', { model: name });
      this.#leaving.add(models);
      if (record !== undefined) await this.sources.discard(record);
    });
  }

  async #open(name: string, { record, context, isStep = false }: LoadOrder): Promise<LoadedVersions> {
    this.#states.set(name, { name, version: '', state: 'LOADING', reason: '' });
    try {
      return await openVersions({
        name,
        record,
        sources: this.sources,
        isStep,
        before: this.#models.get(name),
        options: this.#config,
        metrics: this.#metrics,
        limiter: this.#limiter,
        inferStep: async (model, version, call) => (await this.forRequest(model, version)).infer(call),
        loadStep: (model) => this.#loadStep(model, context),
        observer: this.observer,
        cache: this.#cache,
        context,
        signal: context?.signal ?? this.#signal,
      });
    } catch (error) {
      const reason = isDeclaredError(error) ? error.message : 'it failed in an unexpected way';
      // A name that stands for nothing is not kept, whoever asks for how many of them.
      if (isDeclaredError(error) && error.reason === 'MODEL_NOT_REGISTERED') this.#states.delete(name);
      else this.#states.set(name, { name, version: '', state: 'UNAVAILABLE', reason });
      throw error;
    }
  }
}
