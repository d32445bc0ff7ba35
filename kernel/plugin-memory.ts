import type { Storage } from '../sdk/index.ts';
import type { PluginRecord } from './loader/record.ts';

const PREFIX = 'loaded/';

/** Folders that an operator loaded at run time: the next start loads them again. */
export class PluginMemory {
  readonly #storage: Storage;

  constructor(storage: Storage) {
    this.#storage = storage;
  }

  async remember(record: PluginRecord): Promise<void> {
    await this.#storage.put(PREFIX + record.id, record.directory);
  }

  async forget(id: string): Promise<void> {
    await this.#storage.delete(PREFIX + id);
  }

  async directories(): Promise<string[]> {
    const directories: string[] = [];
    for await (const { value } of this.#storage.range(PREFIX)) {
      if (typeof value === 'string') directories.push(value);
    }
    return directories;
  }
}
