import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout } from 'node:timers/promises';
import type { DescService } from '@bufbuild/protobuf';
import type { Client, Logger } from '../sdk/index.ts';
import { checkProtected, openAccess, type OpenedAccess } from './access/open-access.ts';
import { KERNEL_ID } from './builtin.ts';
import { createBuiltins } from './builtins.ts';
import { openGuard } from './capabilities/open-guard.ts';
import { createClient } from './client.ts';
import { type KernelConfig, ownEnvironment, readConfig, type TlsFiles } from './config.ts';
import { createContainer, type KernelParts } from './container.ts';
import { HomeLock } from './home-lock.ts';
import { hasMemoryFor } from './loader/standby-memory.ts';
import { Lifecycle, type StateChange } from './loader/lifecycle.ts';
import { Loader, type LoaderParts } from './loader/loader.ts';
import type { PluginRecord } from './loader/record.ts';
import { Routes } from './loader/routes.ts';
import { Starter } from './loader/starter.ts';
import { Watcher } from './loader/watcher.ts';
import { LocalTransport } from './local-transport.ts';
import type { LogLevel } from './logger.ts';
import { Installations } from './packaging/installations.ts';
import { PluginTrust } from './packaging/plugin-trust.ts';
import { foldersToLoad } from './packaging/folders-to-load.ts';
import { PluginMemory } from './plugin-memory.ts';
import { HealthRegistry } from './server/health.ts';
import { Listeners } from './server/listeners.ts';
import { LmdbStorage } from './storage.ts';
import { EventJournal } from './topics/journal.ts';
import { PLUGINS_TOPIC } from './topics/topic-table.ts';
import { KERNEL_VERSION } from './version.ts';

/** Options of {@link createKernel}. */
export interface KernelOptions {
  /** Folder for everything the kernel and its plugins keep. */
  readonly home: string;
  /** Address to listen on; loopback by default. Any other needs credentials to be configured. */
  readonly host?: string;
  /** Files for TLS, before those of the configuration. */
  readonly tls?: TlsFiles;
  /** Port of the gRPC listener; 0 takes a free one. */
  readonly grpcPort?: number;
  readonly httpPort?: number;
  readonly metricsPort?: number;
  /** Folders of the plugins to load at start, beside those loaded by an operator before. */
  readonly pluginDirectories?: readonly string[];
  /** Reloads a plugin when its files change. */
  readonly watch?: boolean;
  /** Runs plugins whether they are signed or not, whatever `config.json` says; for those who write them. */
  readonly isDevelopment?: boolean;
  readonly logLevel?: LogLevel;
  /** Environment for plugin processes and secrets; `process.env` by default. */
  readonly environment?: NodeJS.ProcessEnv;
}

/** Where a running kernel listens, each as `host:port`. */
export interface KernelAddresses {
  readonly grpc: string;
  readonly http: string;
  readonly metrics: string;
  /** Whether all of them serve TLS. */
  readonly isTls: boolean;
}

/** Triton's ports, so that its clients need no setting. */
const DEFAULT_PORTS = { grpc: 8001, http: 8000, metrics: 8002 };

/** A kernel that has not been started; see {@link Kernel.start}. */
export function createKernel(options: KernelOptions): Kernel {
  return new Kernel(options);
}

/** The composition root: builds the parts, starts and stops them. */
export class Kernel {
  readonly #options: KernelOptions;
  readonly #parts: KernelParts;
  #running: RunningKernel | undefined;

  constructor(options: KernelOptions) {
    this.#options = options;
    this.#parts = createContainer(options.logLevel ?? 'info');
  }

  get log(): Logger {
    return this.#parts.log;
  }

  /**
   * Takes the home folder, opens the listeners and loads all plugins.
   *
   * @throws HOME_IN_USE, CONFIG_INVALID, LISTENER_UNPROTECTED, TLS_FILES_INVALID, PORT_IN_USE, PLUGINS_UNRESOLVED; nothing is
   * left running then.
   */
  async start(): Promise<KernelAddresses> {
    const home = path.resolve(this.#options.home);
    const config = await readConfig(home, this.#options.tls);
    const lock = await HomeLock.take(home);
    const runDirectory = await mkdtemp(path.join(tmpdir(), 'lamella-kernel-'));
    const running = new RunningKernel({
      ...this.#parts,
      options: this.#options,
      home,
      config,
      runDirectory,
      lock,
    });
    this.#running = running;
    try {
      return await running.start();
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  /** Drains and stops everything; safe to call twice. */
  async stop(): Promise<void> {
    const running = this.#running;
    this.#running = undefined;
    await running?.stop();
  }

  /** The loader of a kernel that runs. */
  get plugins(): Loader {
    if (this.#running === undefined) throw new Error('The kernel is not running; call start() first.');
    return this.#running.loader;
  }

  /** Typed client of any service that is loaded, without a connection. */
  call<Service extends DescService>(service: Service): Client<Service> {
    return createClient(service, new LocalTransport(this.#parts.dispatcher, KERNEL_ID));
  }
}

interface RunningParts extends KernelParts {
  readonly options: KernelOptions;
  readonly home: string;
  readonly config: KernelConfig;
  readonly runDirectory: string;
  readonly lock: HomeLock;
}

/** Everything that exists only while the kernel runs. */
class RunningKernel {
  readonly #parts: RunningParts;
  readonly #health: HealthRegistry = new HealthRegistry();
  readonly #storage: LmdbStorage;
  readonly #journal: EventJournal;
  readonly #memory: PluginMemory;
  readonly #installations: Installations;
  readonly #listeners: Listeners;
  readonly #starter: Starter;
  readonly #watcher: Watcher | undefined;
  readonly #host: string;
  readonly #kernelSocket: string;
  #access: OpenedAccess | undefined;
  readonly loader: Loader;

  constructor(parts: RunningParts) {
    this.#parts = parts;
    const { home, config, runDirectory, options, router, log } = parts;
    const kernelSocket = path.join(runDirectory, 'kernel.sock');
    this.#kernelSocket = kernelSocket;
    this.#host = options.host ?? '127.0.0.1';
    this.#storage = new LmdbStorage(path.join(home, 'kernel'));
    this.#installations = new Installations(home);
    this.#memory = new PluginMemory(this.#storage, this.#installations.root);
    this.#journal = new EventJournal(path.join(home, 'events'));
    this.#listeners = new Listeners({ ...parts, host: this.#host, kernelSocket, config });
    const routes = new Routes(router, this.#listeners, parts.guard);
    this.#openEvents(routes);
    const lifecycle = new Lifecycle({
      clock: parts.clock,
      log,
      storage: this.#storage,
      onChange: (change) => this.#onChange(change),
    });
    this.#starter = new Starter({
      ...parts,
      kernelSocket,
      environment: options.environment ?? ownEnvironment(),
    });
    this.loader = new Loader({
      log,
      lifecycle,
      routes,
      kernelVersion: KERNEL_VERSION,
      rollbackWindowMs: config.rollbackWindowMs,
      hasMemoryFor,
      onSwap: () => undefined,
      admit: this.#admission(home),
      start: (version) => this.#starter.start(version),
    });
    createBuiltins({
      ...parts,
      access: () => this.#openedAccess(),
      lifecycle,
      routes,
      loader: this.loader,
      health: this.#health,
      memory: this.#memory,
      secretsFor: (process) => this.#starter.secrets(process.manifest),
    });
    this.#watcher = options.watch === true ? new Watcher(this.loader, log) : undefined;
  }

  #openedAccess(): OpenedAccess {
    if (this.#access === undefined) throw new Error('Access control is not open yet.');
    return this.#access;
  }

  async start(): Promise<KernelAddresses> {
    const { options, gate } = this.#parts;
    const where = { host: this.#host, config: this.#parts.config };
    this.#access = await openAccess({ ...this.#parts, ...where, storage: this.#storage });
    checkProtected(where, this.#access.keys);
    gate.open(this.#access.access);
    const addresses = await this.#listeners.listen({
      grpc: options.grpcPort ?? DEFAULT_PORTS.grpc,
      http: options.httpPort ?? DEFAULT_PORTS.http,
      metrics: options.metricsPort ?? DEFAULT_PORTS.metrics,
    });
    await this.#access.owner.write({ socket: this.#kernelSocket, grpc: addresses.grpc });
    const folders = await foldersToLoad({
      given: this.#given(),
      installations: this.#installations,
      remembered: await this.#memory.folders(),
    });
    await this.loader.loadAll(folders);
    await this.#watcher?.start();
    this.#health.set('', 'SERVING');
    return addresses;
  }

  #openEvents(routes: Routes): void {
    const { events, metrics, log, config } = this.#parts;
    openGuard({ ...this.#parts, audit: () => this.#access?.audit });
    events.open({
      journal: this.#journal,
      metrics: metrics.kernel,
      log,
      settings: config.topics,
      findMessage: (name) => routes.message(name),
    });
  }

  #onChange({ record, previous }: StateChange): void {
    const { events } = this.#parts;
    const { id, state, reason, manifest } = record;
    events.publish(PLUGINS_TOPIC, { id, version: manifest.version, state, previous, reason });
    if (state === 'REMOVED') events.topics.withdraw(id);
    this.#tellHealth(record);
  }

  #admission(home: string): LoaderParts['admit'] {
    const { options, config } = this.#parts;
    const isDevelopment = options.isDevelopment === true;
    const trust = new PluginTrust({
      home,
      startFolders: this.#given(),
      isDevelopment,
      configured: config.trust,
    });
    return (manifest, directory) => trust.admit(manifest, directory);
  }

  #given(): string[] {
    return (this.#parts.options.pluginDirectories ?? []).map((directory) => path.resolve(directory));
  }

  /** Each service is healthy while every provider of it has an instance. */
  #tellHealth(record: PluginRecord): void {
    for (const { service } of record.manifest.provides) {
      const providers = this.#parts.router.providers(service);
      const isServing = providers.some((slot) => slot.instance !== undefined);
      if (record.state === 'REMOVED' && providers.length === 0) this.#health.remove(service);
      else this.#health.set(service, isServing ? 'SERVING' : 'NOT_SERVING');
    }
  }

  async stop(): Promise<void> {
    const { config, lock, runDirectory, log } = this.#parts;
    this.#health.shutdown();
    await this.#watcher?.close();
    if (config.prestopMs > 0) await setTimeout(config.prestopMs);
    await this.#listeners.close(config.drainMs);
    await this.loader.stopAll();
    await this.#starter.close();
    await this.#access?.owner.remove();
    await this.#access?.close();
    await this.#journal.close();
    await this.#storage.close();
    await rm(runDirectory, { recursive: true, force: true });
    await lock.close();
    log.info('stopped');
  }
}
