import type { Logger, Storage } from '../../sdk/index.ts';
import type { PluginState } from '../registry/state.ts';

/** One change of state of a plugin. */
export interface Transition {
  readonly state: PluginState;
  readonly reason: string;
  readonly version: string;
  /** When, in milliseconds since the epoch. */
  readonly atMs: number;
}

/** Changes that are kept of one plugin. */
const KEPT = 100;

/** The last changes of state of every plugin, over restarts of the kernel and after an unload. */
export class PluginHistory {
  readonly #storage: Storage;
  readonly #log: Logger;
  readonly #unsaved: Map<string, Transition[]> = new Map();
  #saving: Promise<void> = Promise.resolve();

  constructor(storage: Storage, log: Logger) {
    this.#storage = storage;
    this.#log = log;
  }

  /** Keeps a change. Those that come at once are written at once; a write for each took a tenth of a plugin's start. */
  add(pluginId: string, transition: Transition): void {
    const unsaved = this.#unsaved.get(pluginId);
    if (unsaved !== undefined) unsaved.push(transition);
    else this.#unsaved.set(pluginId, [transition]);
    if (this.#unsaved.size === 1 && unsaved === undefined) {
      this.#saving = this.#saving.then(() => this.#save());
    }
  }

  /** Resolves when all changes so far are written. */
  async saved(): Promise<void> {
    await this.#saving;
  }

  /** Newest last; empty for a plugin that this kernel never had. */
  async of(pluginId: string): Promise<readonly Transition[]> {
    await this.#saving;
    return (await this.#storage.get<readonly Transition[]>(keyOf(pluginId))) ?? [];
  }

  async #save(): Promise<void> {
    const unsaved = [...this.#unsaved];
    this.#unsaved.clear();
    await Promise.all(
      unsaved.map(async ([pluginId, transitions]) => {
        const key = keyOf(pluginId);
        try {
          const before = (await this.#storage.get<readonly Transition[]>(key)) ?? [];
          await this.#storage.put(key, [...before, ...transitions].slice(-KEPT));
        } catch (error) {
          // The plugin itself is fine; what is lost is the memory of these changes.
          this.#log.warn('changes of a plugin state could not be stored', { plugin: pluginId, error });
        }
      }),
    );
  }
}

function keyOf(pluginId: string): string {
  return `history/${pluginId}`;
}
