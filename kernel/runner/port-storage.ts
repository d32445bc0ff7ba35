import type { Storage, StorageEntry } from '../../sdk/index.ts';
import type { PortPeer } from '../port/port-peer.ts';

/** Entries asked for at once by {@link PortStorage.range}. */
export const RANGE_PAGE = 128;

/** Storage of a plugin in a worker: the kernel's thread does the writing, so that no native code runs in the worker. */
export class PortStorage implements Storage {
  readonly directory: string;
  readonly #peer: PortPeer;

  constructor(directory: string, peer: PortPeer) {
    this.directory = directory;
    this.#peer = peer;
  }

  async get<Value = unknown>(key: string): Promise<Value | undefined> {
    return (await this.#peer.ask('storage.get', { key })) as Value | undefined;
  }

  async put(key: string, value: unknown): Promise<void> {
    await this.#peer.ask('storage.put', { key, value });
  }

  async delete(key: string): Promise<boolean> {
    return (await this.#peer.ask('storage.delete', { key })) as boolean;
  }

  /** Reads page by page; entries written meanwhile may or may not be seen. */
  async *range(prefix: string): AsyncGenerator<StorageEntry> {
    let after: string | undefined;
    for (;;) {
      const page = (await this.#peer.ask('storage.range', { prefix, after })) as StorageEntry[];
      yield* page;
      after = page.at(-1)?.key;
      if (page.length < RANGE_PAGE) return;
    }
  }
}
