import type { Manifest } from '../../proto/gen/lamella/kernel/v1/manifest_pb.ts';
import { PluginNotFound } from '../errors.ts';
import { nearestName } from '../registry/nearest-name.ts';
import type { Version } from './generation.ts';
import type { Lifecycle } from './lifecycle.ts';
import type { PluginRecord } from './record.ts';
import type { Routes } from './routes.ts';
import { slotFor } from './slot-for.ts';

/** Input of {@link PluginRecords}. */
export interface PluginRecordsParts {
  readonly lifecycle: Lifecycle;
  readonly routes: Routes;
  /** Throws, with the reason, when a plugin may not run; asked before each start of its code. */
  readonly admit: (manifest: Manifest, directory: string) => Promise<void>;
}

/** The plugins that a kernel knows: they come in when they may run, and calls find them from then on. */
export class PluginRecords {
  readonly #parts: PluginRecordsParts;
  readonly #records: Map<string, PluginRecord> = new Map();

  constructor(parts: PluginRecordsParts) {
    this.#parts = parts;
  }

  get all(): PluginRecord[] {
    return [...this.#records.values()];
  }

  /** All of them, for those who ask at every change of each of perhaps a thousand plugins. */
  each(): IterableIterator<PluginRecord> {
    return this.#records.values();
  }

  find(id: string): PluginRecord | undefined {
    return this.#records.get(id);
  }

  /** The id that was probably meant: a slip of the keyboard, or its last part alone. */
  #nearest(id: string): string {
    const known = [...this.#records.keys()];
    return nearestName(id, known) ?? known.find((each) => each.endsWith(`.${id}`)) ?? '';
  }

  /** @throws PLUGIN_NOT_FOUND */
  get(id: string): PluginRecord {
    const record = this.#records.get(id);
    if (record === undefined) throw new PluginNotFound({ plugin: id, near: this.#nearest(id) });
    return record;
  }

  /** Lists a plugin that may not run, and throws the reason. It gets no routes: what it claims to serve is not its. */
  async admitOrKeep(version: Version): Promise<void> {
    const { manifest, directory } = version;
    try {
      await this.#parts.admit(manifest, directory);
    } catch (error) {
      const plugin = { ...version, slot: slotFor(manifest) };
      const record = this.#parts.lifecycle.quarantine(plugin, (error as Error).message);
      this.#records.set(record.id, record);
      throw error;
    }
  }

  /** Makes a plugin known: calls to its services wait for it from now on. */
  add(version: Version): PluginRecord {
    const record = this.#parts.lifecycle.discover({ ...version, slot: slotFor(version.manifest) });
    this.#records.set(record.id, record);
    this.#parts.routes.announce(record);
    return record;
  }

  forget(record: PluginRecord): void {
    this.#parts.routes.withdraw(record);
    this.#records.delete(record.id);
    this.#parts.lifecycle.remove(record);
  }
}
