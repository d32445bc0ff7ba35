import type { Storage, StorageEntry } from '../../../sdk/index.ts';

/** Storage for tests that counts what is written. */
export class MemoryStorage implements Storage {
  readonly directory = '/nowhere';
  readonly entries: Map<string, unknown> = new Map();
  writeCount = 0;
  /** Held back writes; `undefined` writes at once. */
  pause: Promise<void> | undefined;

  get<Value = unknown>(key: string): Promise<Value | undefined> {
    return Promise.resolve(this.entries.get(key) as Value | undefined);
  }

  async put(key: string, value: unknown): Promise<void> {
    await this.pause;
    this.writeCount += 1;
    this.entries.set(key, value);
  }

  delete(key: string): Promise<boolean> {
    return Promise.resolve(this.entries.delete(key));
  }

  async *range(prefix: string): AsyncGenerator<StorageEntry> {
    for (const [key, value] of this.entries) if (key.startsWith(prefix)) yield { key, value };
  }
}
