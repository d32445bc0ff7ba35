import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import type { Database, RootDatabase } from 'lmdb';
import { closeLmdb, lmdbCause, requireLmdbRoom, type Storage, type StorageEntry } from '../sdk/index.ts';
import { StorageFailed } from './errors.ts';

/** Largest value `range` looks for after a prefix: sorts behind every string. */
const AFTER = '\u{10FFFF}';

/**
 * Durable key-value storage in an lmdb environment of its own, opened when first used.
 *
 * @remarks A write resolves after `flushed`, not after commit: commit alone is visible but would not survive a power
 * loss.
 */
export class LmdbStorage implements Storage {
  readonly directory: string;
  #opening: Promise<RootDatabase> | undefined;
  #isClosed = false;
  readonly #writes: Set<Promise<unknown>> = new Set();

  constructor(directory: string) {
    this.directory = directory;
  }

  async #database(): Promise<Database> {
    // Opening it anew would leave an environment that nobody closes.
    if (this.#isClosed) throw new Error('it is closed');
    this.#opening ??= this.#open();
    return this.#opening;
  }

  async #open(): Promise<RootDatabase> {
    const { open } = await import('lmdb');
    await mkdir(this.directory, { recursive: true, mode: 0o700 });
    return open({ path: path.join(this.directory, 'storage.mdb') });
  }

  async get<Value = unknown>(key: string): Promise<Value | undefined> {
    return (await this.#database()).get(key) as Value | undefined;
  }

  async put(key: string, value: unknown): Promise<void> {
    await this.#write(0, (database) => database.put(key, value));
  }

  async delete(key: string): Promise<boolean> {
    return this.#write(undefined, async (database) => {
      const isThere = database.doesExist(key);
      // Resolves with true for a key that never was, too.
      await database.remove(key);
      return isThere;
    });
  }

  /** @param after - Last key of the page before; the range begins behind it. */
  async *range(prefix: string, after?: string): AsyncGenerator<StorageEntry> {
    const database = await this.#database();
    const start = after ?? prefix;
    const entries = database.getRange({ start, end: prefix + AFTER, snapshot: false });
    for (const { key, value } of entries) {
      if (key !== after) yield { key: String(key), value: value as unknown };
    }
  }

  /** @param sizeBytes - Size of the value beyond what any disk that is not full has room for; `undefined` to remove. */
  async #write<Result>(
    sizeBytes: number | undefined,
    action: (database: Database) => Promise<Result>,
  ): Promise<Result> {
    const write = this.#writeNow(sizeBytes, action);
    this.#writes.add(write);
    try {
      return await write;
    } finally {
      this.#writes.delete(write);
    }
  }

  async #writeNow<Result>(
    sizeBytes: number | undefined,
    action: (database: Database) => Promise<Result>,
  ): Promise<Result> {
    try {
      const database = await this.#database();
      await requireLmdbRoom({ database, directory: this.directory }, sizeBytes);
      const result = await action(database);
      await database.flushed;
      return result;
    } catch (error) {
      const cause = await lmdbCause(error);
      throw new StorageFailed(
        { directory: this.directory, cause: cause.message },
        { cause, retryAfterMs: 1_000 },
      );
    }
  }

  /** Closes the environment; a storage that was never used has nothing to close. */
  async close(): Promise<void> {
    // lmdb throws where nobody catches when a commit ends after its environment is closed.
    this.#isClosed = true;
    await Promise.allSettled(this.#writes);
    const opening = this.#opening;
    this.#opening = undefined;
    if (opening !== undefined) await closeLmdb(await opening);
  }
}
