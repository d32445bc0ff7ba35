import { type FSWatcher, watch } from 'node:fs';
import type { Logger } from '../../sdk/index.ts';
import type { Loader } from './loader.ts';
import type { PluginRecord } from './record.ts';

/** Editors write a file in several steps; the reload waits until it has been quiet for this long, in milliseconds. */
const QUIET_MS = 100;

/** Reloads plugins when files in their folders change. */
export class Watcher {
  readonly #loader: Loader;
  readonly #log: Logger;
  readonly #watchers: FSWatcher[] = [];
  readonly #timers: Map<string, NodeJS.Timeout> = new Map();

  constructor(loader: Loader, log: Logger) {
    this.#loader = loader;
    this.#log = log;
  }

  /** Watches the folders of all plugins loaded so far. */
  start(): void {
    for (const record of this.#loader.records) {
      const watcher = watch(record.directory, { recursive: true }, () => this.#touch(record));
      watcher.on('error', (error) =>
        this.#log.warn('a folder cannot be watched', { plugin: record.id, error }),
      );
      this.#watchers.push(watcher);
    }
  }

  #touch(record: PluginRecord): void {
    clearTimeout(this.#timers.get(record.id));
    this.#timers.set(
      record.id,
      setTimeout(() => {
        this.#timers.delete(record.id);
        this.#loader.reload(record.id).then(
          () => this.#log.info('reloaded', { plugin: record.id }),
          // The loader has logged why; the old version serves on.
          () => undefined,
        );
      }, QUIET_MS),
    );
  }

  close(): void {
    for (const watcher of this.#watchers) watcher.close();
    for (const timer of this.#timers.values()) clearTimeout(timer);
  }
}
