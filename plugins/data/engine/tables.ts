import type { DatasetVersion } from 'lamella/proto/lamella/data/v1/dataset';
import type { StoreService } from 'lamella/proto/lamella/data/v1/store_service';
import type { CallContext, Client } from 'lamella/sdk';
import { decodeArrow, type RowBatch } from 'lamella/sdk/arrow';
import type { DuckDbEngine } from './duckdb-engine.ts';

interface CachedTable {
  readonly table: string;
  readonly loaded: Promise<void>;
  /** Plans that read it now. */
  users: number;
}

/** A dataset version that a plan may read. */
export interface OpenTable {
  readonly table: string;
  readonly version: DatasetVersion;
  release(): void;
}

/** Dataset versions loaded into DuckDB. A version never changes, so its fingerprint is all a cache needs to know. */
export class Tables {
  readonly #engine: DuckDbEngine;
  readonly #store: Client<typeof StoreService>;
  readonly #limit: number;
  /** In order of use, the least recent first. */
  readonly #tables: Map<string, CachedTable> = new Map();
  #count = 0;

  constructor(engine: DuckDbEngine, store: Client<typeof StoreService>, limit: number) {
    this.#engine = engine;
    this.#store = store;
    this.#limit = limit;
  }

  /** Loads a version, or takes it from the cache; release it after the plan. */
  async open(name: string, context: CallContext): Promise<OpenTable> {
    const { version } = await this.#store.getVersion({ name }, { context });
    if (version === undefined) throw new Error(`the store knows '${name}' without a version`);
    for (;;) {
      const found = this.#tables.get(version.name);
      const cached = found ?? this.#load(version, context);
      this.#tables.delete(version.name);
      this.#tables.set(version.name, cached);
      cached.users += 1;
      try {
        await cached.loaded;
        return { table: cached.table, version, release: () => this.#release(cached) };
      } catch (error) {
        // What failed to load must not answer the next plan.
        if (this.#tables.get(version.name) === cached) this.#tables.delete(version.name);
        // Another plan's load was cancelled with that plan, which is no reason to fail this one.
        if (found === undefined || context.signal.aborted) throw error;
      }
    }
  }

  #load(version: DatasetVersion, context: CallContext): CachedTable {
    this.#count += 1;
    const table = `version_${this.#count}`;
    const rows = this.#read(version.name, context);
    const schema = version.schema;
    const loaded =
      schema === undefined ? Promise.reject(new Error('no schema')) : this.#engine.load(table, schema, rows);
    return { table, loaded, users: 0 };
  }

  async *#read(name: string, context: CallContext): AsyncGenerator<readonly RowBatch[]> {
    for await (const { arrowIpc } of this.#store.readVersion({ name }, { context })) {
      yield decodeArrow(arrowIpc).batches;
    }
  }

  #release(cached: CachedTable): void {
    cached.users -= 1;
    for (const [name, table] of this.#tables) {
      if (this.#tables.size <= this.#limit) return;
      if (table.users > 0) continue;
      this.#tables.delete(name);
      // A table that cannot be dropped now is only memory, and DuckDB may spill it.
      this.#engine.drop(table.table).catch(() => undefined);
    }
  }
}
