import type { LoadedVersions } from './open-versions.ts';

/** How much may be loaded at once. */
export interface BudgetLimits {
  /** Models; 0 for no limit. */
  readonly models: number;
  /** Bytes of their processes; 0 for no limit. */
  readonly bytes: number;
}

/** Keeps what is loaded within limits: tells which models go when another has come. */
export class ModelBudget {
  readonly #limits: BudgetLimits;
  readonly #sizes: Map<LoadedVersions, number> = new Map();

  constructor(limits: BudgetLimits) {
    this.#limits = limits;
  }

  /** True when there is a limit. */
  get isLimited(): boolean {
    return this.#limits.models > 0 || this.#limits.bytes > 0;
  }

  /**
   * Names of the models that have to go, the least recently used ones first; never the one that has just come.
   *
   * @param models - All loaded models by name.
   */
  async toEvict(models: ReadonlyMap<string, LoadedVersions>, arrived: string): Promise<readonly string[]> {
    await this.#measure(models);
    let count = models.size;
    let bytes = [...models.values()].reduce((sum, model) => sum + (this.#sizes.get(model) ?? 0), 0);
    const isOver = (): boolean =>
      (this.#limits.models > 0 && count > this.#limits.models) ||
      (this.#limits.bytes > 0 && bytes > this.#limits.bytes);
    const evicted: string[] = [];
    const byUse = [...models].toSorted(([, left], [, right]) => left.lastUse - right.lastUse);
    for (const [name, model] of byUse) {
      if (!isOver()) break;
      if (name === arrived) continue;
      count -= 1;
      bytes -= this.#sizes.get(model) ?? 0;
      evicted.push(name);
    }
    return evicted;
  }

  async #measure(models: ReadonlyMap<string, LoadedVersions>): Promise<void> {
    const loaded = new Set(models.values());
    for (const model of this.#sizes.keys()) if (!loaded.has(model)) this.#sizes.delete(model);
    if (this.#limits.bytes === 0) return;
    for (const model of loaded) {
      const uses = await Promise.all([...model.versions.values()].map((version) => version.memory()));
      this.#sizes.set(
        model,
        uses.reduce((sum, use) => sum + (use?.sizeBytes ?? 0), 0),
      );
    }
  }
}
