import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import type { Database, RootDatabase } from 'lmdb';
import { lmdbCause, requireLmdbRoom } from '../../sdk/index.ts';
import { StorageFailed } from '../errors.ts';

/** An event as it is stored. */
export interface StoredEvent {
  readonly sequence: number;
  readonly payload: unknown;
  readonly source: string;
  readonly timeMs: number;
}

type Key = [topic: string, sequence: number];

/** Events read at once. */
const BATCH = 100;

/**
 * Events of durable topics on disk, in an lmdb environment of its own that is opened when first used.
 *
 * @remarks The newest event of a topic is never removed, so that its number can be gone on from after a restart.
 */
export class EventJournal {
  readonly #directory: string;
  #opening: Promise<RootDatabase<StoredEvent, Key>> | undefined;
  #database: Database<StoredEvent, Key> | undefined;

  constructor(directory: string) {
    this.#directory = directory;
  }

  async #open(): Promise<Database<StoredEvent, Key>> {
    this.#opening ??= (async () => {
      const { open } = await import('lmdb');
      await mkdir(this.#directory, { recursive: true, mode: 0o700 });
      const opened = open<StoredEvent, Key>({ path: path.join(this.#directory, 'events.mdb') });
      this.#database = opened;
      return opened;
    })();
    return this.#opening;
  }

  /** Numbers of the oldest and newest event of a topic; undefined when there is none. @throws STORAGE_FAILED */
  async bounds(topic: string): Promise<{ first: number; last: number } | undefined> {
    try {
      const database = await this.#open();
      const [first] = database.getKeys({ start: [topic, 0], end: [topic, Infinity], limit: 1 });
      const [last] = database.getKeys({ start: [topic, Infinity], end: [topic, 0], limit: 1, reverse: true });
      return first === undefined || last === undefined ? undefined : { first: first[1], last: last[1] };
    } catch (error) {
      throw await this.#failure(error);
    }
  }

  /** Resolves when the event would survive a kill of the process and of the machine. @throws STORAGE_FAILED */
  async append(topic: string, event: StoredEvent, sizeBytes: number): Promise<void> {
    await this.#write(sizeBytes, (database) => database.put([topic, event.sequence], event));
  }

  /** Removes events with numbers below the given one. @throws STORAGE_FAILED */
  async removeBefore(topic: string, sequence: number): Promise<void> {
    const database = await this.#open();
    const keys = [...database.getKeys({ start: [topic, 0], end: [topic, sequence] })];
    if (keys.length === 0) return;
    await this.#write(undefined, async (open) => {
      await Promise.all(keys.map((key) => open.remove(key)));
    });
  }

  /** The next events from a number on, up to and with another one; the topic's bounds must have been asked for. */
  read(topic: string, from: number, to: number): StoredEvent[] {
    const range = { start: [topic, from] as Key, end: [topic, to + 1] as Key, limit: BATCH };
    return [...(this.#database?.getRange(range) ?? [])].map(({ value }) => value);
  }

  async #write(
    sizeBytes: number | undefined,
    action: (database: Database<StoredEvent, Key>) => Promise<unknown>,
  ): Promise<void> {
    try {
      const database = await this.#open();
      await requireLmdbRoom({ database, directory: this.#directory }, sizeBytes);
      await action(database);
      await database.flushed;
    } catch (error) {
      throw await this.#failure(error);
    }
  }

  async #failure(error: unknown): Promise<Error> {
    const cause = await lmdbCause(error);
    const fields = { directory: this.#directory, cause: cause.message };
    return new StorageFailed(fields, { cause, retryAfterMs: 1_000 });
  }

  async close(): Promise<void> {
    const opening = this.#opening;
    this.#opening = undefined;
    this.#database = undefined;
    if (opening === undefined) return;
    const database = await opening;
    await database.flushed;
    await database.close();
  }
}
