import type { Logger } from '../../sdk/index.ts';
import { FolderWatch } from './folder-watch.ts';
import type { Loader } from './loader.ts';
import type { PluginRecord } from './record.ts';

/** Reloads plugins when files in their folders change. */
export class Watcher {
  readonly #loader: Loader;
  readonly #log: Logger;
  #watches: FolderWatch[] = [];

  constructor(loader: Loader, log: Logger) {
    this.#loader = loader;
    this.#log = log;
  }

  /** Watches the folders of all plugins loaded so far. */
  async start(): Promise<void> {
    this.#watches = await Promise.all(this.#loader.records.map((record) => this.#watch(record)));
  }

  #watch(record: PluginRecord): Promise<FolderWatch> {
    return FolderWatch.open(
      record.directory,
      () => this.#reload(record),
      (error) => this.#log.warn('a folder cannot be watched', { plugin: record.id, error }),
    );
  }

  #reload(record: PluginRecord): void {
    this.#loader.reload(record.id).then(
      () => this.#log.info('reloaded', { plugin: record.id }),
      // The loader has logged why; the old version serves on.
      () => undefined,
    );
  }

  async close(): Promise<void> {
    await Promise.all(this.#watches.map((watch) => watch.close()));
  }
}
