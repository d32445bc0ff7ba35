import type { Storage } from 'lamella/sdk';

const PREFIX = 'drift/';

/** Since when features drift, kept over restarts. */
export class DriftStarts {
  readonly #storage: Storage;
  readonly #onUnsaved: (error: unknown) => void;
  readonly #startsMs: Map<string, number> = new Map();

  constructor(storage: Storage, onUnsaved: (error: unknown) => void) {
    this.#storage = storage;
    this.#onUnsaved = onUnsaved;
  }

  /** Reads what is kept. */
  async load(): Promise<void> {
    for await (const { key, value } of this.#storage.range(PREFIX)) {
      this.#startsMs.set(key.slice(PREFIX.length), Number(value));
    }
  }

  /** Time since which a feature drifts. */
  get(feature: string): number | undefined {
    return this.#startsMs.get(feature);
  }

  /** Takes in whether a feature drifts now; a disk that is full changes nothing until the next restart. */
  async note(feature: string, isDrifted: boolean, nowMs: number): Promise<void> {
    if (isDrifted === this.#startsMs.has(feature)) return;
    if (isDrifted) this.#startsMs.set(feature, nowMs);
    else this.#startsMs.delete(feature);
    const key = (PREFIX + feature).slice(0, 1_000);
    try {
      await (isDrifted ? this.#storage.put(key, nowMs) : this.#storage.delete(key));
    } catch (error) {
      this.#onUnsaved(error);
    }
  }
}
