import type { InferConfig } from './config.ts';
import { LoadsFull } from './errors.ts';
import { ModelBudget } from './model-budget.ts';
import type { LoadRecord } from './model-sources.ts';
import type { LoadedVersions } from './open-versions.ts';

/** What decides which models are loaded works on. */
export interface ResidencyParts {
  /** Options of the plugin, which say how much may be loaded. */
  readonly config: Pick<InferConfig, 'maxLoadedModels' | 'modelMemoryMib'>;
  /** Loads a model: by its record, or from wherever it is found. */
  readonly load: (model: string, record: LoadRecord | undefined) => Promise<void>;
  /** Takes a model away that may come back. */
  readonly evict: (model: string) => Promise<void>;
}

/** Models that may be loaded for requests at the same time. */
const MOST_DEMANDS = 64;

/** Which models stay loaded: the least recently used ones go when there are too many, and come back when asked for. */
export class Residency {
  readonly #parts: ResidencyParts;
  readonly #budget: ModelBudget;
  /** Models that went because others came, with what brings them back. */
  readonly #evicted: Map<string, LoadRecord> = new Map();
  readonly #demands: Map<string, Promise<void>> = new Map();
  #uses = 0;

  constructor(parts: ResidencyParts) {
    this.#parts = parts;
    const { maxLoadedModels, modelMemoryMib } = parts.config;
    this.#budget = new ModelBudget({ models: maxLoadedModels, bytes: modelMemoryMib * 1_048_576 });
  }

  /** Notes that a model is used now. */
  use(model: LoadedVersions): void {
    this.#uses += 1;
    model.lastUse = this.#uses;
  }

  /** Notes a model that went because of the limits. */
  left(name: string, record: LoadRecord): void {
    this.#evicted.set(name, record);
  }

  /** Forgets that a model had gone: it is loaded again, or shall not come back. */
  forget(name: string): boolean {
    return this.#evicted.delete(name);
  }

  /** Loads a model for a request; requests for the same one wait together. @throws LOADS_FULL, or what the load throws */
  demand(name: string): Promise<void> {
    const known = this.#demands.get(name);
    if (known !== undefined) return known;
    if (this.#demands.size >= MOST_DEMANDS) {
      throw new LoadsFull({ model: name, limit: String(MOST_DEMANDS) }, { retryAfterMs: 1_000 });
    }
    const demand = this.#parts.load(name, this.#evicted.get(name)).finally(() => this.#demands.delete(name));
    this.#demands.set(name, demand);
    return demand;
  }

  /** Takes models away until the limits are kept; not the one that has just come. */
  async keepLimits(models: ReadonlyMap<string, LoadedVersions>, arrived: string): Promise<void> {
    if (!this.#budget.isLimited) return;
    for (const name of await this.#budget.toEvict(models, arrived)) await this.#parts.evict(name);
  }
}
