import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import type { Database } from 'lmdb';
import { decodeArrow, encodeArrow, type RowBatch, selectColumns, sliceBatch } from 'lamella/sdk/arrow';
import type { RowRange, StoredRows, StoreDriver } from './driver.ts';
import { DatasetVersionNotFound, RowsNotStored, WriteInvalid } from './errors.ts';

interface VersionRecord extends StoredRows {
  readonly writeId: string;
  readonly batchCount: number;
  /** Rows before each batch, so that a range is found without reading what comes before it. */
  readonly starts: readonly number[];
}

interface OpenWrite {
  rowCount: number;
  sizeBytes: number;
  readonly starts: number[];
}

/** Sorts behind every string and number of a key. */
const LAST = '\u{10FFFF}';

/** Uncommitted writes of a process that is gone are removed after this time, in milliseconds. */
const ABANDONED_AFTER_MS = 60 * 60 * 1_000;

/** Rows in lmdb: a value for each Arrow batch as it came, and one record that makes a version of them. */
export class LmdbDriver implements StoreDriver {
  readonly #database: Database;
  readonly #writes: Map<string, OpenWrite> = new Map();

  private constructor(database: Database) {
    this.#database = database;
  }

  /** Opens the environment and removes what writes left behind that were never committed. */
  static async open(directory: string): Promise<LmdbDriver> {
    const { open } = await import('lmdb');
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const driver = new LmdbDriver(open({ path: path.join(directory, 'rows.mdb'), encoding: 'msgpack' }));
    await driver.#sweep();
    return driver;
  }

  async #sweep(): Promise<void> {
    const database = this.#database;
    for (const { key, value } of database.getRange({ start: ['open'], end: ['open', LAST], snapshot: false })) {
      // A younger write may belong to the instance that this one is about to replace.
      if (Date.now() - Number(value) < ABANDONED_AFTER_MS || !Array.isArray(key)) continue;
      const writeId = String(key[1]);
      for (const batch of database.getKeys({ start: ['batch', writeId], end: ['batch', writeId, LAST] })) {
        await database.remove(batch);
      }
      await database.remove(key);
    }
  }

  async openWrite(writeId: string): Promise<void> {
    if (this.#writes.has(writeId)) throw new WriteInvalid({ problem: `write '${writeId}' is open already` });
    this.#writes.set(writeId, { rowCount: 0, sizeBytes: 0, starts: [] });
    await stored(this.#database.put(['open', writeId], Date.now()));
  }

  #write(writeId: string): OpenWrite {
    const write = this.#writes.get(writeId);
    if (write === undefined) throw new WriteInvalid({ problem: `write '${writeId}' is not open` });
    return write;
  }

  async append(writeId: string, arrowIpc: Uint8Array): Promise<StoredRows> {
    const write = this.#write(writeId);
    for (const batch of decodeArrow(arrowIpc).batches) {
      if (batch.rowCount === 0) continue;
      const bytes = encodeArrow(batch);
      await stored(this.#database.put(['batch', writeId, write.starts.length], bytes));
      write.starts.push(write.rowCount);
      write.rowCount += batch.rowCount;
      write.sizeBytes += bytes.byteLength;
    }
    return write;
  }

  async commit(writeId: string, versionId: string): Promise<StoredRows> {
    const { rowCount, sizeBytes, starts } = this.#write(writeId);
    const record: VersionRecord = { writeId, rowCount, sizeBytes, starts, batchCount: starts.length };
    // One transaction: the rows become a version and stop being an open write.
    await stored(
      this.#database.transaction(() => {
        void this.#database.put(['version', versionId], record);
        void this.#database.remove(['open', writeId]);
      }),
    );
    await stored(this.#database.flushed);
    this.#writes.delete(writeId);
    return record;
  }

  async abort(writeId: string): Promise<void> {
    const write = this.#writes.get(writeId);
    this.#writes.delete(writeId);
    for (let index = 0; index < (write?.starts.length ?? 0); index += 1) {
      await this.#database.remove(['batch', writeId, index]);
    }
    await this.#database.remove(['open', writeId]);
  }

  #record(versionId: string): VersionRecord {
    const record = this.#database.get(['version', versionId]) as VersionRecord | undefined;
    if (record === undefined) throw new DatasetVersionNotFound({ name: versionId });
    return record;
  }

  async *read(versionId: string, { columns, offset, limit }: RowRange): AsyncGenerator<Uint8Array> {
    const record = this.#record(versionId);
    const end = limit > 0 ? Math.min(offset + limit, record.rowCount) : record.rowCount;
    for (const [index, start] of record.starts.entries()) {
      const next = record.starts[index + 1] ?? record.rowCount;
      if (next <= offset || start >= end) continue;
      const bytes = this.#database.get(['batch', record.writeId, index]) as Uint8Array;
      const isWhole = start >= offset && next <= end && columns.length === 0;
      if (isWhole) yield bytes;
      else yield* cut(bytes, { columns, from: offset - start, to: end - start });
    }
  }

  async delete(versionId: string): Promise<void> {
    const record = this.#record(versionId);
    // The record goes first: a kill in between leaves batches that the next start sweeps, never half a version.
    await this.#database.remove(['version', versionId]);
    for (let index = 0; index < record.batchCount; index += 1) {
      await this.#database.remove(['batch', record.writeId, index]);
    }
    await this.#database.flushed;
  }

  async *list(): AsyncGenerator<string> {
    for (const key of this.#database.getKeys({ start: ['version'], end: ['version', LAST] })) {
      if (Array.isArray(key)) yield String(key[1]);
    }
  }

  async close(): Promise<void> {
    await this.#database.close();
  }
}

function* cut(
  bytes: Uint8Array,
  { columns, from, to }: { readonly columns: readonly string[]; readonly from: number; readonly to: number },
): Generator<Uint8Array> {
  for (const batch of decodeArrow(bytes).batches) {
    const part: RowBatch = sliceBatch(selectColumns(batch, columns), from, to);
    yield encodeArrow(part);
  }
}

async function stored<Result>(work: Promise<Result>): Promise<Result> {
  try {
    return await work;
  } catch (cause) {
    throw new RowsNotStored({ cause: (cause as Error).message }, { cause, retryAfterMs: 1_000 });
  }
}
