import { stat } from 'node:fs/promises';
import path from 'node:path';
import { type FSWatcher, watch } from 'chokidar';

/** What programs write while a plugin is built or runs, and what packages bring: watched, each start would cause the next. */
const IGNORED: ReadonlySet<string> = new Set([
  'node_modules',
  '__pycache__',
  'dist',
  'build',
  'target',
  'coverage',
]);

/** Editors write a file in several steps; a change counts when it has been quiet for this long, in milliseconds. */
const QUIET_MS = 100;

/** Tells when somebody has saved something in a plugin's folder; hidden files and built ones do not count. */
export class FolderWatch {
  readonly #watcher: FSWatcher;
  #timer: NodeJS.Timeout | undefined;

  private constructor(watcher: FSWatcher) {
    this.#watcher = watcher;
  }

  /**
   * Returns when the folder is watched.
   *
   * @throws Error if it does not exist.
   */
  static async open(
    directory: string,
    onChange: () => void,
    onError: (error: unknown) => void,
  ): Promise<FolderWatch> {
    await stat(directory);
    const watcher = watch(directory, {
      ignoreInitial: true,
      followSymlinks: false,
      ignored: (file) => file !== directory && isIgnored(path.basename(file)),
    });
    const folder = new FolderWatch(watcher);
    watcher.on('error', onError);
    await new Promise<void>((resolve) => {
      watcher.once('ready', () => resolve());
    });
    watcher.on('all', () => folder.#touch(onChange));
    return folder;
  }

  #touch(onChange: () => void): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(onChange, QUIET_MS);
  }

  async close(): Promise<void> {
    clearTimeout(this.#timer);
    await this.#watcher.close();
  }
}

function isIgnored(name: string): boolean {
  return name.startsWith('.') || IGNORED.has(name);
}
