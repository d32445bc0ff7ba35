import type { Logger } from 'lamella/sdk';
import { folderFingerprint } from './folder-files.ts';
import type { ModelSources } from './model-sources.ts';

/** What a poller works on. */
export interface FolderPollerParts {
  /** Where the models are. */
  readonly sources: ModelSources;
  /** Loads a model again, or for the first time. */
  readonly load: (model: string) => Promise<void>;
  /** Takes a model away. */
  readonly unload: (model: string) => Promise<void>;
  /** Where failures are written. */
  readonly log: Logger;
}

/** Keeps the loaded models as the folders have them. */
export class FolderPoller {
  readonly #parts: FolderPollerParts;
  /** What was seen of each model, whether it could be loaded or not: a broken one is tried again when it changes. */
  readonly #seen: Map<string, string> = new Map();
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(parts: FolderPollerParts) {
    this.#parts = parts;
  }

  /** Looks once, then again each time the interval has passed since the end of the look before. */
  async start(intervalMs: number): Promise<void> {
    await this.poll();
    if (this.#isClosed) return;
    this.#timer = setTimeout(() => {
      void this.start(intervalMs).catch((error: unknown) =>
        this.#parts.log.error('Model repositories could not be polled', { error }),
      );
    }, intervalMs);
    this.#timer.unref();
  }

  /** Loads what is new or changed and takes away what is gone. */
  async poll(): Promise<void> {
    const { sources } = this.#parts;
    const present = await sources.inFolders();
    for (const model of present) {
      if (this.#isClosed) return;
      const folder = await sources.folderOf(model);
      const fingerprint = folder === undefined ? undefined : await folderFingerprint(folder, model);
      if (folder === undefined || fingerprint === undefined) continue;
      const seen = `${folder}\n${fingerprint}`;
      if (this.#seen.get(model) === seen) continue;
      this.#seen.set(model, seen);
      await this.#attempt('loaded', model, () => this.#parts.load(model));
    }
    for (const model of [...this.#seen.keys()].filter((name) => !present.has(name))) {
      this.#seen.delete(model);
      await this.#attempt('taken away', model, () => this.#parts.unload(model));
    }
  }

  /** Ends the looking; a look that is under way stops before its next model. */
  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
  }

  async #attempt(what: string, model: string, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.#parts.log.error(`A model of a folder could not be ${what}`, { model, error });
    }
  }
}
