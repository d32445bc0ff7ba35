import path from 'node:path';
import { mkdir } from 'node:fs/promises';
import type { Manifest } from '../../proto/gen/lamella/kernel/v1/manifest_pb.ts';
import { IsolationLevel } from '../../proto/gen/lamella/kernel/v1/manifest_pb.ts';
import type { Secrets, Storage } from '../../sdk/index.ts';
import type { PluginGuard } from '../capabilities/guard.ts';
import type { KernelConfig } from '../config-schema.ts';
import type { KernelParts } from '../container.ts';
import { IsolationUnsupported, PluginStartFailed, SecretMissing } from '../errors.ts';
import { LocalTransport } from '../local-transport.ts';
import { Propagation } from '../propagation.ts';
import { LmdbStorage } from '../storage.ts';
import { Watchdog } from '../watchdog.ts';
import type { Bundle } from './bundle.ts';
import { Confinement } from './confinement.ts';
import { type Started, startInline } from './inline.ts';
import type { IsolationName } from './instance.ts';
import type { Code, CodeStore } from './code-store.ts';
import type { ReadVersion, Version } from './generation.ts';
import type { Preview } from './load-plan.ts';
import { Loads } from './loads.ts';
import { PluginConfigs } from './plugin-configs.ts';
import { permissionFlags } from './node-permissions.ts';
import { isHeldToFiles } from './program-files.ts';
import type { OutputWatcher } from './plugin-output.ts';
import { startProcess } from './process.ts';
import { startRemote } from './remote.ts';
import { startWorker } from './worker.ts';

/** What starting an instance needs of the kernel. */
export interface StarterParts extends KernelParts {
  readonly home: string;
  readonly config: KernelConfig;
  readonly kernelSocket: string;
  /** The kernel's own. */
  readonly storage: Storage;
  readonly environment: NodeJS.ProcessEnv;
  readonly code: CodeStore;
}

/** The levels there are. */
const SUPPORTED: ReadonlyMap<IsolationLevel, IsolationName> = new Map<IsolationLevel, IsolationName>([
  [IsolationLevel.INLINE, 'INLINE'],
  [IsolationLevel.WORKER, 'WORKER'],
  [IsolationLevel.PROCESS, 'PROCESS'],
  [IsolationLevel.REMOTE, 'REMOTE'],
]);

/** Starts instances at the isolation level that manifest and operator agree on. */
export class Starter {
  readonly #parts: StarterParts;
  /** One storage for all instances of a plugin: during an upgrade two of them are open at once. */
  readonly #storages: Map<string, LmdbStorage> = new Map();

  readonly #loads: Loads;
  readonly #watchdog: Watchdog;
  readonly #confinement: Confinement;
  readonly #configs: PluginConfigs;

  constructor(parts: StarterParts) {
    this.#parts = parts;
    this.#confinement = new Confinement(parts.log);
    this.#configs = new PluginConfigs({
      storage: parts.storage,
      log: parts.log,
      settings: (id) => parts.config.plugins[id],
      publish: (topic, payload) => parts.events.publish(topic, payload),
    });
    this.#loads = new Loads(parts, parts.config.plugins);
    this.#watchdog = new Watchdog({ ...parts, blockedMs: parts.config.blockedMs });
  }

  /** @throws ISOLATION_UNSUPPORTED, PLUGIN_CONFIG_INVALID, CONFIG_MIGRATION_FAILED, TOPIC_CONFLICT, PLUGIN_START_FAILED and what start() throws. */
  async start({ manifest: read, directory, level: asked, code }: ReadVersion): Promise<Started> {
    const manifest = this.#parts.guard.admit(read);
    const resolved = await this.#configs.resolve(manifest);
    const { config } = resolved;
    const storageDirectory = path.join(this.#parts.home, 'plugins', manifest.id);
    const level = this.#level(manifest, asked);
    const undeclare = this.#parts.events.topics.declare(manifest.id, manifest.topics);
    try {
      const started = await this.#at(level, manifest, { directory, config, storageDirectory, code });
      await this.#configs.accept(manifest, resolved);
      return started;
    } catch (error) {
      undeclare();
      throw error;
    }
  }

  /**
   * Checks what can be checked without running code, and reads the code where the kernel does that.
   *
   * @throws ISOLATION_UNSUPPORTED, PLUGIN_CONFIG_INVALID, CONFIG_MIGRATION_FAILED, PLUGIN_START_FAILED
   */
  async prepare(version: Version): Promise<ReadVersion> {
    const { manifest, level: asked } = version;
    await this.#configs.resolve(manifest);
    const isElsewhere = this.#level(manifest, asked) === 'REMOTE';
    const code = isElsewhere ? { digest: '', bundle: undefined } : await this.#parts.code.read(version);
    return { ...version, code };
  }

  /** Looks at what {@link prepare} looks at, and tells what it found. @throws as {@link prepare} */
  async preview(version: Version): Promise<Preview> {
    const { manifest } = await this.prepare(version);
    const { writtenFor, migrated } = await this.#configs.resolve(manifest);
    return {
      level: this.#level(manifest, version.level),
      migratesFrom: migrated === undefined ? undefined : writtenFor,
      granted: this.#parts.guard.granted(manifest),
    };
  }

  async #at(level: IsolationName, manifest: Manifest, placement: Placement): Promise<Started> {
    switch (level) {
      case 'INLINE':
        return this.#inline(manifest, placement);
      case 'WORKER':
        return this.#worker(manifest, placement);
      case 'PROCESS':
        return this.#process(manifest, placement);
      case 'REMOTE':
        return this.#remote(manifest, placement);
    }
  }

  async #inline(manifest: Manifest, { config, storageDirectory, code }: Placement): Promise<Started> {
    const { log, clock, metrics, events, dispatcher } = this.#parts;
    const scope = metrics.scope(manifest.id);
    const load = this.#loads.for(manifest);
    const started = await startInline({
      watchdog: this.#watchdog,
      load,
      bundle: bundleOf(manifest, code),
      eventsFor: (signal) =>
        events.forPlugin(manifest.id, { signal, guard: this.#guardOf(manifest), gate: load.events }),
      parts: {
        manifest,
        config,
        log: log.child({ plugin: manifest.id }),
        clock,
        storage: this.#storage(manifest.id, storageDirectory),
        metrics: scope,
        secrets: this.secrets(manifest),
        guard: this.#guardOf(manifest),
        transport: new LocalTransport(dispatcher, manifest.id),
        propagation: new Propagation(this.#parts.config.propagatedHeaders),
      },
      onStop: () => scope.close(),
    });
    return started;
  }

  #worker(manifest: Manifest, { directory, config, storageDirectory, code }: Placement): Promise<Started> {
    const { metrics, registrations, environment, dispatcher } = this.#parts;
    const log = this.#parts.log.child({ plugin: manifest.id });
    const storage = this.#storage(manifest.id, storageDirectory);
    const load = this.#loads.for(manifest);
    return startWorker({
      watchdog: this.#watchdog,
      load,
      manifest,
      directory,
      bundle: bundleOf(manifest, code),
      environment,
      log,
      kernel: dispatcher,
      output: this.#output(manifest.id),
      host: { storage, metrics: metrics.scope(manifest.id), log },
      register: (token) =>
        registrations.add(token, { manifest, config, storageDirectory, events: load.events }),
    });
  }

  async #process(manifest: Manifest, placement: Placement): Promise<Started> {
    const { directory, config, storageDirectory, code } = placement;
    // It opens its storage itself, and may have no right to make the folder.
    await mkdir(storageDirectory, { recursive: true, mode: 0o700 });
    const { log, registrations, kernelSocket, environment } = this.#parts;
    const load = this.#loads.for(manifest);
    const isHeld = isHeldToFiles(
      { manifest, directory },
      { log, mode: this.#parts.config.trust.mode, settings: this.#settings(manifest)?.capabilities },
    );
    return startProcess({
      confine: (command, socketDirectory) => {
        const view = { manifest, directory, storageDirectory, socketDirectory, kernelSocket };
        return this.#confinement.confine(command, manifest, isHeld ? view : undefined);
      },
      isHeldToFiles: isHeld,
      permissions: (socketDirectory) =>
        permissionFlags({ manifest, directory, own: [storageDirectory, socketDirectory] }),
      load,
      manifest,
      directory,
      code,
      kernelSocket,
      environment,
      log: log.child({ plugin: manifest.id }),
      output: this.#output(manifest.id),
      register: (token) =>
        registrations.add(token, { manifest, config, storageDirectory, events: load.events }),
    });
  }

  #remote(manifest: Manifest, { directory }: Placement): Promise<Started> {
    const log = this.#parts.log.child({ plugin: manifest.id });
    const settings = this.#settings(manifest)?.remote;
    const metrics = this.#parts.metrics.kernel;
    return startRemote({ manifest, directory, settings, load: this.#loads.for(manifest), log, metrics });
  }

  #output(id: string): OutputWatcher {
    return { watchLevel: (watcher) => this.#parts.logs.watchLevel(id, watcher) };
  }

  #settings(manifest: Manifest): KernelConfig['plugins'][string] | undefined {
    return this.#parts.config.plugins[manifest.id];
  }

  #level(manifest: Manifest, asked: IsolationName | undefined): IsolationName {
    const { preferred, allowed } = levelsOf(manifest);
    const wanted = asked ?? this.#settings(manifest)?.isolation;
    const level = wanted === undefined ? preferred : IsolationLevel[wanted];
    const name = SUPPORTED.get(level);
    if (name !== undefined && allowed.has(level)) return name;
    throw new IsolationUnsupported({
      plugin: manifest.id,
      level: wanted ?? nameOf(level),
      supported: [...SUPPORTED.values()].join(', '),
    });
  }

  #guardOf({ id }: Manifest): PluginGuard {
    const { guard } = this.#parts;
    return {
      require: (capability, target) => guard.require(id, capability, target),
      deny: (capability, target) => guard.deny(id, capability, target),
    };
  }

  /** Secrets that are granted and that the operator mapped to environment variables. */
  secrets(manifest: Manifest): Secrets {
    const variables = this.#settings(manifest)?.secrets ?? {};
    return {
      get: (name) => {
        this.#parts.guard.require(manifest.id, 'secrets', name);
        const variable = variables[name];
        const value = variable === undefined ? undefined : this.#parts.environment[variable];
        if (value === undefined) throw new SecretMissing({ plugin: manifest.id, secret: name });
        return value;
      },
    };
  }

  #storage(id: string, directory: string): LmdbStorage {
    const known = this.#storages.get(id);
    if (known !== undefined) return known;
    const storage = new LmdbStorage(directory);
    this.#storages.set(id, storage);
    return storage;
  }

  /** Closes all storages; no instance may run any more. */
  async close(): Promise<void> {
    await this.#watchdog.close();
    for (const storage of this.#storages.values()) await storage.close();
  }
}

/** @throws PLUGIN_START_FAILED for a program, which runs in a process of its own only. */
function bundleOf({ id }: Manifest, { bundle }: Code): Bundle {
  if (bundle !== undefined) return bundle;
  throw new PluginStartFailed({
    plugin: id,
    cause: 'it has no "module" that could run here; let it run at isolation PROCESS.',
  });
}

function levelsOf({ isolation }: Manifest): {
  preferred: IsolationLevel;
  allowed: ReadonlySet<IsolationLevel>;
} {
  const preferred = isolation?.preferred ?? IsolationLevel.PROCESS;
  return { preferred, allowed: new Set([preferred, ...(isolation?.allowed ?? [])]) };
}

interface Placement {
  readonly directory: string;
  readonly config: unknown;
  readonly storageDirectory: string;
  readonly code: Code;
}

function nameOf(level: IsolationLevel): string {
  return Object.entries(IsolationLevel).find(([, value]) => value === level)?.[0] ?? String(level);
}
