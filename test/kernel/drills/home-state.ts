import path from 'node:path';
import { KeyStore } from '../../../kernel/access/key-store.ts';
import { createLogger } from '../../../kernel/logger.ts';
import { Installations } from '../../../kernel/packaging/installations.ts';
import { Installer } from '../../../kernel/packaging/installer.ts';
import { TrustStore } from '../../../kernel/packaging/trust-store.ts';
import { PluginMemory } from '../../../kernel/plugin-memory.ts';
import { LmdbStorage } from '../../../kernel/storage.ts';
import { EventJournal } from '../../../kernel/topics/journal.ts';

/** What a home folder holds, as a test compares it. */
export interface HomeState {
  readonly keys: readonly string[];
  readonly loaded: readonly string[];
  /** Version of the installed plugin, and those before it. */
  readonly installed: readonly string[];
  readonly lastEvent: number;
}

const PLUGIN = 'test.hello';
const TOPIC = 'drill.events';
const nothing = async (): Promise<undefined> => undefined;

/** The parts of a kernel that keep something in its home folder. */
export class Home {
  readonly #storage: LmdbStorage;
  readonly #journal: EventJournal;
  readonly #installations: Installations;
  readonly keys: KeyStore;
  readonly memory: PluginMemory;
  readonly installer: Installer;

  private constructor(home: string, storage: LmdbStorage, keys: KeyStore) {
    this.#storage = storage;
    this.keys = keys;
    this.#journal = new EventJournal(path.join(home, 'events'));
    this.#installations = new Installations(home);
    this.memory = new PluginMemory(storage, this.#installations.root);
    this.installer = new Installer({
      home,
      kernel: { load: nothing, unload: nothing, rollBack: nothing },
      trust: new TrustStore(home),
      environment: process.env,
      progress: () => undefined,
    });
  }

  static async open(home: string): Promise<Home> {
    const storage = new LmdbStorage(path.join(home, 'kernel'));
    const clock = { now: () => Date.now() };
    return new Home(
      home,
      storage,
      await KeyStore.open({ storage, clock, log: createLogger({ level: 'silent' }) }),
    );
  }

  async addKey(name: string): Promise<void> {
    await this.keys.create({ name, scopes: ['user'], expiresMs: undefined });
  }

  async load(id: string): Promise<void> {
    await this.memory.remember({ id, directory: `/plugins/${id}`, level: undefined });
  }

  async publish(sequence: number): Promise<void> {
    const event = { sequence, payload: {}, source: 'drill', timeMs: sequence };
    await this.#journal.append(TOPIC, event as never, 100);
  }

  async install(folder: string): Promise<void> {
    await this.installer.install(folder, {});
  }

  async rollBack(): Promise<void> {
    await this.installer.rollBack(PLUGIN);
  }

  async remove(): Promise<void> {
    await this.installer.remove(PLUGIN);
  }

  async state(): Promise<HomeState> {
    const plugin = (await this.#installations.list())[PLUGIN];
    return {
      keys: this.keys.list().map(({ name }) => name),
      loaded: [...(await this.memory.folders()).keys()].toSorted(),
      installed: plugin === undefined ? [] : [plugin, ...plugin.previous].map(({ version }) => version),
      lastEvent: (await this.#journal.bounds(TOPIC))?.last ?? 0,
    };
  }

  async close(): Promise<void> {
    await this.#journal.close();
    await this.#storage.close();
  }
}
