import { setImmediate } from 'node:timers/promises';
import { fromBinary, toBinary } from '@bufbuild/protobuf';
import { ManifestSchema } from '../proto/gen/lamella/kernel/v1/manifest_pb.ts';
import type { Logger, Storage } from '../sdk/index.ts';
import type { CodeStore } from './loader/code-store.ts';
import type { Version } from './loader/generation.ts';
import type { Memories, Recalled } from './loader/recall.ts';
import type { PluginRecord } from './loader/record.ts';
import { KERNEL_VERSION } from './version.ts';

const PREFIX = 'service/';

/** There while a kernel runs; a kernel that finds it was not stopped in order. */
const RUNNING_KEY = 'running';

/** A version as it is stored: its manifest as bytes, since the folder may hold another by then. */
type StoredVersion = Omit<Version, 'manifest'> & { readonly manifest: Uint8Array };

interface StoredPlugin extends Omit<Recalled, 'version' | 'canary'> {
  /** Code that an earlier kernel kept may need what this one no longer has. */
  readonly kernel: string;
  readonly version: StoredVersion;
  readonly canary: { readonly version: StoredVersion; readonly percent: number } | undefined;
}

/** Input of {@link ServiceMemory}. */
export interface ServiceMemoryParts {
  readonly storage: Storage;
  readonly code: CodeStore;
  readonly log: Logger;
}

/**
 * Remembers what is in service, at which share and how it has been doing, and keeps the code that this needs. The
 * changes of one moment are written together.
 */
export class ServiceMemory {
  readonly #parts: ServiceMemoryParts;
  readonly #changed: Map<string, PluginRecord> = new Map();
  #writing: Promise<void> | undefined;
  #isOpen = false;

  constructor(parts: ServiceMemoryParts) {
    this.#parts = parts;
  }

  /** What the run before left behind; from now on changes are remembered. */
  async open(): Promise<Memories> {
    const { storage } = this.#parts;
    const wasKilled = (await storage.get(RUNNING_KEY)) === true;
    const plugins: Recalled[] = [];
    const loaded = new Set<string>();
    for await (const { value } of storage.range(PREFIX)) {
      const stored = value as StoredPlugin;
      loaded.add(stored.asked);
      if (stored.kernel === KERNEL_VERSION) plugins.push(restored(stored));
    }
    await storage.put(RUNNING_KEY, true);
    this.#isOpen = true;
    return { plugins, loaded, wasKilled };
  }

  /** A plugin has changed. */
  note(record: PluginRecord): void {
    if (!this.#isOpen) return;
    this.#changed.set(record.id, record);
    this.#writing ??= this.#writeAll();
  }

  /** Resolves when all changes so far are stored. */
  async saved(): Promise<void> {
    await this.#writing;
  }

  /** Nothing that happens from now on is remembered: plugins that stop with the kernel are to come back with it. */
  async close(): Promise<void> {
    this.#isOpen = false;
    await this.saved();
  }

  /** The kernel has stopped in order. */
  async stopped(): Promise<void> {
    await this.#parts.storage.delete(RUNNING_KEY);
  }

  async #writeAll(): Promise<void> {
    while (this.#changed.size > 0) {
      await setImmediate();
      const records = [...this.#changed.values()];
      this.#changed.clear();
      await Promise.all(records.map((record) => this.#write(record)));
    }
    this.#writing = undefined;
  }

  async #write(record: PluginRecord): Promise<void> {
    const { storage, code, log } = this.#parts;
    const key = PREFIX + record.id;
    try {
      if (record.state === 'REMOVED') {
        await storage.delete(key);
        await code.forget(record.id);
        return;
      }
      await storage.put(key, stored(record));
      await code.prune(record.id, neededBy(record));
    } catch (error) {
      // The plugin itself is fine; what is lost is the memory of this change.
      log.warn('what is in service could not be remembered', { plugin: record.id, error });
    }
  }
}

/** Code that a plugin may have to be started from again. */
function neededBy({ digest, active, canary, standby }: PluginRecord): ReadonlySet<string> {
  const running = [active, canary, standby].map((generation) => generation?.instance.digest);
  return new Set([digest, ...running].filter((each) => each !== undefined));
}

function stored(record: PluginRecord): StoredPlugin {
  const { asked, canary, slot, setAside, crashesMs, restarts, givenUp } = record;
  return {
    kernel: KERNEL_VERSION,
    asked,
    version: storedVersion(record),
    canary:
      canary === undefined
        ? undefined
        : {
            version: storedVersion({ ...canary, digest: canary.instance.digest }),
            percent: slot.canary?.percent ?? 0,
          },
    setAside,
    crashesMs,
    restarts,
    failure: givenUp,
    isQuarantined: record.state === 'QUARANTINED',
  };
}

function storedVersion({ manifest, directory, level, digest }: Version): StoredVersion {
  return { manifest: toBinary(ManifestSchema, manifest), directory, level, digest };
}

function restored({ kernel: _kernel, version, canary, ...rest }: StoredPlugin): Recalled {
  return {
    ...rest,
    version: restoredVersion(version),
    canary: canary === undefined ? undefined : { ...canary, version: restoredVersion(canary.version) },
  };
}

function restoredVersion({ manifest, ...rest }: StoredVersion): Version {
  return { ...rest, manifest: fromBinary(ManifestSchema, manifest) };
}
