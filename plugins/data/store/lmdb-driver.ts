import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import type { Database } from 'lmdb';
import { closeLmdb, lmdbCause, requireLmdbRoom } from 'lamella/sdk';
import { decodeArrow, encodeArrow, type RowBatch, selectColumns, sliceBatch } from 'lamella/sdk/arrow';
import type { RowRange, StoredRows, StoreDriver } from './driver.ts';
import { DatasetVersionNotFound, RowsNotStored, StoreUnavailable, WriteInvalid } from './errors.ts';
import { isAbandoned, type WriterMark, writerMark } from './writer-mark.ts';

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

/** Rows are kept in pieces of about this size, in bytes, so that readers never wait for, or hold, much more. */
const PIECE_BYTES = 4 * 1024 * 1024;

/** Mark of rows whose version is gone: the next sweep takes them, whoever is alive. */
const NOBODY: WriterMark = { processId: 0, timeMs: 0 };

/** Rows in lmdb: a value for each Arrow batch as it came, and one record that makes a version of them. */
export class LmdbDriver implements StoreDriver {
  readonly #database: Database;
  readonly #directory: string;
  readonly #writes: Map<string, OpenWrite> = new Map();

  private constructor(database: Database, directory: string) {
    this.#database = database;
    this.#directory = directory;
  }

  /** Opens the environment and removes what writes left behind that were never committed. */
  static async open(directory: string): Promise<LmdbDriver> {
    const { open } = await import('lmdb').catch((cause: Error) => {
      throw new StoreUnavailable({ cause: cause.message }, { cause });
    });
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const driver = new LmdbDriver(
      open({ path: path.join(directory, 'rows.mdb'), encoding: 'msgpack' }),
      directory,
    );
    await driver.#sweep();
    return driver;
  }

  async #sweep(): Promise<void> {
    const left = [...this.#database.getRange({ start: ['open'], end: ['open', LAST] })];
    for (const { key, value } of left) {
      if (Array.isArray(key) && isAbandoned(value as WriterMark, Date.now()))
        await this.#removeRows(String(key[1]));
    }
  }

  /** Removes the batches of a write, then its mark: a kill in between leaves the mark for the next sweep. */
  async #removeRows(writeId: string): Promise<void> {
    const keys = [...this.#database.getKeys({ start: ['batch', writeId], end: ['batch', writeId, LAST] })];
    await this.#stored(undefined, async () =>
      Promise.all(keys.map(async (key) => this.#database.remove(key))),
    );
    await this.#stored(undefined, async () => this.#database.remove(['open', writeId]));
  }

  async openWrite(writeId: string): Promise<void> {
    if (this.#writes.has(writeId)) throw new WriteInvalid({ problem: `write '${writeId}' is open already` });
    this.#writes.set(writeId, { rowCount: 0, sizeBytes: 0, starts: [] });
    await this.#stored(0, async () => this.#database.put(['open', writeId], writerMark(Date.now())));
  }

  /** Does a write and waits until it would survive a power cut. @throws ROWS_NOT_STORED */
  async #stored(sizeBytes: number | undefined, work: () => Promise<unknown>): Promise<void> {
    try {
      await requireLmdbRoom({ database: this.#database, directory: this.#directory }, sizeBytes);
      await work();
      await this.#database.flushed;
    } catch (error) {
      const cause = await lmdbCause(error);
      throw new RowsNotStored({ cause: cause.message }, { cause, retryAfterMs: 1_000 });
    }
  }

  #write(writeId: string): OpenWrite {
    const write = this.#writes.get(writeId);
    if (write === undefined) throw new WriteInvalid({ problem: `write '${writeId}' is not open` });
    return write;
  }

  async append(writeId: string, arrowIpc: Uint8Array): Promise<StoredRows> {
    const write = this.#write(writeId);
    const pieces = decodeArrow(arrowIpc).batches.flatMap((batch) => inPieces(batch, arrowIpc.byteLength));
    for (const batch of pieces) {
      const bytes = encodeArrow(batch);
      const key = ['batch', writeId, write.starts.length];
      await this.#stored(bytes.byteLength, async () => this.#database.put(key, bytes));
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
    await this.#stored(0, async () =>
      this.#database.transaction(() => {
        const replaced = this.#database.get(['version', versionId]) as VersionRecord | undefined;
        if (replaced !== undefined) void this.#database.put(['open', replaced.writeId], NOBODY);
        void this.#database.put(['version', versionId], record);
        void this.#database.remove(['open', writeId]);
      }),
    );
    this.#writes.delete(writeId);
    return record;
  }

  async abort(writeId: string): Promise<void> {
    if (this.#writes.delete(writeId)) await this.#removeRows(writeId);
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
      const bytes = this.#database.get(['batch', record.writeId, index]) as Uint8Array | undefined;
      // Somebody deleted the version while it was read.
      if (bytes === undefined) throw new DatasetVersionNotFound({ name: versionId });
      const isWhole = start >= offset && next <= end && columns.length === 0;
      // A copy: the value may lie in lmdb's memory, which is only good until the next read.
      if (isWhole) yield Uint8Array.from(bytes);
      else yield* cut(bytes, { columns, from: offset - start, to: end - start });
    }
  }

  async delete(versionId: string): Promise<void> {
    const record = this.#record(versionId);
    // The rows are marked in the transaction that makes them invisible: a kill after it leaves them to the next sweep.
    await this.#stored(undefined, async () =>
      this.#database.transaction(() => {
        void this.#database.remove(['version', versionId]);
        void this.#database.put(['open', record.writeId], NOBODY);
      }),
    );
    await this.#removeRows(record.writeId);
  }

  async *list(): AsyncGenerator<string> {
    for (const key of this.#database.getKeys({ start: ['version'], end: ['version', LAST] })) {
      if (Array.isArray(key)) yield String(key[1]);
    }
  }

  /** Entries of all kinds, so that what is left behind can be seen. */
  keyCount(): number {
    return this.#database.getKeysCount();
  }

  async close(): Promise<void> {
    await closeLmdb(this.#database);
  }
}

/** Parts of a batch of about the size of a piece; none of an empty batch. */
function inPieces(batch: RowBatch, sizeBytes: number): RowBatch[] {
  const count = Math.max(1, Math.ceil(sizeBytes / PIECE_BYTES));
  const rows = Math.max(1, Math.ceil(batch.rowCount / count));
  const starts = Array.from({ length: Math.ceil(batch.rowCount / rows) }, (_, index) => index * rows);
  return starts.map((start) => sliceBatch(batch, start, start + rows));
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
