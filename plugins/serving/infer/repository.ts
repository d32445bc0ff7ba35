import type { CallContext, Client, Host, Logger, Storage } from 'lamella/sdk';
import { isDeclaredError } from 'lamella/sdk';
import { openSession } from 'lamella/sdk/ort';
import { RegistryService } from 'lamella/proto/lamella/model/v1/registry_service';
import { readArtifact } from './artifact.ts';
import type { InferConfig } from './config.ts';
import { ModelLoadFailed, ModelUnknown } from './errors.ts';
import { InferMetrics } from './infer-metrics.ts';
import { LoadedModel } from './loaded-model.ts';
import { modelShape } from './model-shape.ts';

/** State of a model, in Triton's words. */
export interface ModelState {
  /** Model name. */
  readonly name: string;
  /** Version number; empty when none is loaded. */
  readonly version: string;
  /** `READY`, `LOADING`, `UNLOADING` or `UNAVAILABLE`. */
  readonly state: string;
  /** Why it is unavailable. */
  readonly reason: string;
}

const PREFIX = 'models/';
const DEFAULT_VERSION = 'champion';
const RESTORE_AT_ONCE = 4;

/** The models that are loaded: loads, replaces and unloads them, and remembers them over restarts. */
export class ModelRepository {
  readonly #config: InferConfig;
  readonly #registry: Client<typeof RegistryService>;
  readonly #storage: Storage;
  readonly #log: Logger;
  readonly #signal: AbortSignal;
  readonly #metrics: InferMetrics;
  readonly #models: Map<string, LoadedModel> = new Map();
  readonly #states: Map<string, ModelState> = new Map();
  readonly #work: Map<string, Promise<void>> = new Map();
  readonly #leaving: Set<Promise<void>> = new Set();
  #ready = false;

  constructor(host: Host<InferConfig>) {
    this.#config = host.config;
    this.#registry = host.call(RegistryService);
    this.#storage = host.storage;
    this.#log = host.log;
    this.#signal = host.signal;
    this.#metrics = new InferMetrics(host.metrics);
  }

  /** True once the models of the last time were loaded, or could not be. */
  get ready(): boolean {
    return this.#ready;
  }

  /** The loaded model. @throws MODEL_UNKNOWN if it, or the version asked for, is not loaded. */
  get(name: string, version: string = ''): LoadedModel {
    const model = this.#models.get(name);
    if (model === undefined) throw new ModelUnknown({ what: `'${name}'` });
    if (version !== '' && version !== model.shape.version) {
      throw new ModelUnknown({ what: `'${name}' version ${version}` });
    }
    return model;
  }

  /** Tells whether a model, and the version asked for, answers requests. */
  has(name: string, version: string): boolean {
    const model = this.#models.get(name);
    return model !== undefined && (version === '' || version === model.shape.version);
  }

  /** All loaded models. */
  loaded(): readonly LoadedModel[] {
    return [...this.#models.values()];
  }

  /** States of all models that are or were loaded, or failed to. */
  states(): readonly ModelState[] {
    return [...this.#states.values()];
  }

  /** Names of all registered models, loaded or not; only the loaded ones while the registry does not answer. */
  async registered(context: CallContext | undefined): Promise<readonly string[]> {
    const names: string[] = [];
    let pageToken = '';
    try {
      do {
        const page = await this.#registry.listModels(
          { pageSize: 1_000, pageToken },
          context === undefined ? {} : { context },
        );
        names.push(...page.models.map(({ name }) => name.replace(/^models\//, '')));
        pageToken = page.nextPageToken;
      } while (pageToken !== '');
    } catch (error) {
      this.#log.warn('The model registry does not answer; the index lists loaded models only', { error });
    }
    return names;
  }

  /**
   * Loads a version and puts it in the place of the one before, which ends once its requests are answered. When it
   * fails, the one before stays.
   *
   * @throws MODEL_NOT_REGISTERED MODEL_LOAD_FAILED
   */
  async load(name: string, version: string | undefined, context?: CallContext): Promise<void> {
    await this.#inTurn(name, async () => {
      const model = await this.#open(name, version ?? DEFAULT_VERSION, context);
      if (model === undefined) return;
      await this.#storage.put(PREFIX + name, { version: model.shape.version });
      const old = this.#models.get(name);
      this.#models.set(name, model);
      this.#setState(name, { version: model.shape.version, state: 'READY', reason: '' });
      this.#log.info('Model loaded', { model: name, version: model.shape.version });
      if (old !== undefined) this.#leave(old);
    });
  }

  /** Takes a model away and waits until its requests are answered. @throws MODEL_UNKNOWN */
  async unload(name: string): Promise<void> {
    await this.#inTurn(name, async () => {
      const model = this.get(name);
      await this.#storage.delete(PREFIX + name);
      this.#models.delete(name);
      this.#setState(name, { version: model.shape.version, state: 'UNAVAILABLE', reason: 'unloaded' });
      this.#log.info('Model unloaded', { model: name, version: model.shape.version });
      this.#leave(model);
    });
  }

  /** Loads what was loaded when the plugin stopped; a model that fails is logged and listed with its reason. */
  async restore(): Promise<void> {
    const wanted: { name: string; version: string }[] = [];
    for await (const { key, value } of this.#storage.range(PREFIX)) {
      const version =
        typeof value === 'object' && value !== null && 'version' in value ? value.version : undefined;
      if (typeof version === 'string') wanted.push({ name: key.slice(PREFIX.length), version });
    }
    const worker = async (): Promise<void> => {
      for (let next = wanted.pop(); next !== undefined; next = wanted.pop()) {
        const { name, version } = next;
        await this.load(name, version).catch((error: unknown) =>
          this.#log.error('A model of the last time could not be loaded', { model: name, version, error }),
        );
      }
    };
    await Promise.all(Array.from({ length: RESTORE_AT_ONCE }, worker));
    this.#ready = true;
  }

  /** Ends all models once their requests are answered. */
  async close(): Promise<void> {
    this.#ready = false;
    const models = this.loaded();
    this.#models.clear();
    for (const model of models) this.#leave(model);
    await Promise.all(this.#leaving);
  }

  async #open(
    name: string,
    version: string,
    context: CallContext | undefined,
  ): Promise<LoadedModel | undefined> {
    const before = this.#states.get(name);
    this.#setState(name, { version: before?.version ?? '', state: 'LOADING', reason: '' });
    try {
      const model = await this.#openVersion(name, version, context);
      if (model === undefined && before !== undefined) this.#states.set(name, before);
      return model;
    } catch (error) {
      const reason = isDeclaredError(error) ? error.message : 'it failed in an unexpected way';
      if (this.#models.has(name) && before !== undefined) this.#states.set(name, before);
      else this.#setState(name, { version: '', state: 'UNAVAILABLE', reason });
      throw error;
    }
  }

  /** Opens a version; `undefined` when just that one is loaded already. */
  async #openVersion(name: string, version: string, context?: CallContext): Promise<LoadedModel | undefined> {
    const { maxModelBytes, maxBatchRows, queueLimit, runTimeoutMs } = this.#config;
    const artifact = await readArtifact(this.#registry, {
      model: name,
      version,
      maxBytes: maxModelBytes,
      context,
    });
    const { digest, version: number } = artifact.version;
    const current = this.#models.get(name);
    if (current?.digest === digest && current.shape.version === String(number)) return undefined;
    const { intraOpThreads, instances, memoryLimitMib } = this.#config;
    const options = { model: artifact.bytes, intraOpThreads, instances, memoryLimitMib, queueLimit };
    const session = await openSession(options, { signal: context?.signal ?? this.#signal }).catch(
      (error: unknown) => {
        if (!isDeclaredError(error)) throw error;
        throw new ModelLoadFailed({ model: name, problem: error.message }, { cause: error });
      },
    );
    const { inputs, outputs } = session;
    const shape = modelShape({ name, version: String(number), inputs, outputs, maxBatchRows });
    return new LoadedModel({ shape, session, queueLimit, runTimeoutMs, metrics: this.#metrics, digest });
  }

  #leave(model: LoadedModel): void {
    const leaving = model
      .close()
      .catch((error: unknown) => this.#log.error('A model did not end', { model: model.shape.name, error }))
      .finally(() => this.#leaving.delete(leaving));
    this.#leaving.add(leaving);
  }

  #setState(name: string, state: Omit<ModelState, 'name'>): void {
    this.#states.set(name, { name, ...state });
  }

  /** Changes of one model happen one after another, those of different models at once. */
  async #inTurn(name: string, work: () => Promise<void>): Promise<void> {
    const before = this.#work.get(name) ?? Promise.resolve();
    const turn = before.then(work, work);
    const settled = turn.then(
      () => undefined,
      () => undefined,
    );
    this.#work.set(name, settled);
    await turn.finally(() => {
      if (this.#work.get(name) === settled) this.#work.delete(name);
    });
  }
}
