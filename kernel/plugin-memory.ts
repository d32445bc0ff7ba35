import path from 'node:path';
import type { Storage } from '../sdk/index.ts';
import type { PluginFolder } from './loader/generation.ts';
import type { PluginRecord } from './loader/record.ts';

const PREFIX = 'loaded/';

/** Folders that an operator loaded at run time: the next start loads them again. */
export class PluginMemory {
  readonly #storage: Storage;
  readonly #installed: string;

  /** @param installed - Folder of what is installed; the lock file remembers that. */
  constructor(storage: Storage, installed: string) {
    this.#storage = storage;
    this.#installed = installed;
  }

  async remember(record: Pick<PluginRecord, 'id' | 'directory' | 'level'>): Promise<void> {
    const { id, directory, level } = record;
    if (directory.startsWith(this.#installed + path.sep)) await this.forget(id);
    else await this.#storage.put(PREFIX + id, level === undefined ? directory : { directory, level });
  }

  async forget(id: string): Promise<void> {
    await this.#storage.delete(PREFIX + id);
  }

  /** Folders by plugin id. */
  async folders(): Promise<Map<string, PluginFolder>> {
    const folders = new Map<string, PluginFolder>();
    for await (const { key, value } of this.#storage.range(PREFIX)) {
      const id = key.slice(PREFIX.length);
      if (typeof value === 'string') folders.set(id, { directory: value });
      else if (isFolder(value)) folders.set(id, value);
    }
    return folders;
  }
}

function isFolder(value: unknown): value is PluginFolder {
  return (
    typeof value === 'object' && value !== null && 'directory' in value && typeof value.directory === 'string'
  );
}
