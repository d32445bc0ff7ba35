import type { Storage } from '../sdk/index.ts';
import type { PluginFolder } from './loader/generation.ts';
import type { PluginRecord } from './loader/record.ts';

const PREFIX = 'loaded/';

/** Folders that an operator loaded at run time: the next start loads them again. */
export class PluginMemory {
  readonly #storage: Storage;

  constructor(storage: Storage) {
    this.#storage = storage;
  }

  async remember(record: PluginRecord): Promise<void> {
    const { id, directory, level } = record;
    await this.#storage.put(PREFIX + id, level === undefined ? directory : { directory, level });
  }

  async forget(id: string): Promise<void> {
    await this.#storage.delete(PREFIX + id);
  }

  async folders(): Promise<PluginFolder[]> {
    const folders: PluginFolder[] = [];
    for await (const { value } of this.#storage.range(PREFIX)) {
      if (typeof value === 'string') folders.push({ directory: value });
      else if (isFolder(value)) folders.push(value);
    }
    return folders;
  }
}

function isFolder(value: unknown): value is PluginFolder {
  return (
    typeof value === 'object' && value !== null && 'directory' in value && typeof value.directory === 'string'
  );
}
