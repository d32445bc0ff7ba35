import { rm } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { isLoopbackAddress } from './access/loopback.ts';
import { checkProtected, openAccess, type OpenedAccess } from './access/open-access.ts';
import { createBuiltins } from './builtins.ts';
import { openGuard } from './capabilities/open-guard.ts';
import { ownEnvironment } from './config.ts';
import type { KernelConfig } from './config-schema.ts';
import type { KernelParts } from './container.ts';
import type { HomeLock } from './home-lock.ts';
import type { KernelAddresses, KernelOptions } from './kernel.ts';
import { CodeStore } from './loader/code-store.ts';
import { recall, recognized } from './loader/recall.ts';
import { hasMemoryFor } from './loader/standby-memory.ts';
import { PluginHistory } from './loader/history.ts';
import { Lifecycle, type StateChange } from './loader/lifecycle.ts';
import { Loader, type LoaderParts } from './loader/loader.ts';
import { Routes } from './loader/routes.ts';
import { countPlugins } from './loader/plugin-metrics.ts';
import { Starter } from './loader/starter.ts';
import { Watcher } from './loader/watcher.ts';
import { Installations } from './packaging/installations.ts';
import { PluginTrust } from './packaging/plugin-trust.ts';
import { foldersToLoad } from './packaging/folders-to-load.ts';
import { PluginMemory } from './plugin-memory.ts';
import { Readiness } from './readiness.ts';
import { ServiceMemory } from './service-memory.ts';
import { HealthRegistry } from './server/health.ts';
import { createProbes } from './server/http-probes.ts';
import { Listeners } from './server/listeners.ts';
import { LmdbStorage } from './storage.ts';
import { EventJournal } from './topics/journal.ts';
import { PLUGINS_TOPIC } from './topics/topic-table.ts';
import { KERNEL_VERSION } from './version.ts';

/** Triton's ports, so that its clients need no setting. */
const DEFAULT_PORTS = { grpc: 8001, http: 8000, metrics: 8002 };

/** Input of {@link RunningKernel}. */
export interface RunningParts extends KernelParts {
  readonly options: KernelOptions;
  readonly home: string;
  readonly config: KernelConfig;
  readonly runDirectory: string;
  readonly lock: HomeLock;
}

/** Everything that exists only while the kernel runs. */
export class RunningKernel {
  readonly #parts: RunningParts;
  readonly #health: HealthRegistry = new HealthRegistry();
  readonly #readiness: Readiness;
  readonly #storage: LmdbStorage;
  readonly #journal: EventJournal;
  readonly #history: PluginHistory;
  readonly #memory: PluginMemory;
  readonly #service: ServiceMemory;
  #isLoaded = false;
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
    const { home, runDirectory, options, router, log } = parts;
    this.#kernelSocket = path.join(runDirectory, 'kernel.sock');
    this.#host = options.host ?? '127.0.0.1';
    this.#storage = new LmdbStorage(path.join(home, 'kernel'));
    this.#installations = new Installations(home);
    this.#memory = new PluginMemory(this.#storage, this.#installations.root);
    const code = new CodeStore(path.join(home, 'objects'));
    this.#service = new ServiceMemory({ storage: this.#storage, code, log });
    this.#journal = new EventJournal(path.join(home, 'events'));
    this.#history = new PluginHistory(this.#storage, log);
    this.#readiness = this.#openReadiness();
    this.#listeners = this.#openListeners();
    const routes = new Routes(router, this.#listeners, parts.guard);
    this.#openEvents(routes);
    const lifecycle = new Lifecycle({
      clock: parts.clock,
      log,
      history: this.#history,
      onChange: (change) => this.#onChange(change),
    });
    countPlugins(lifecycle, parts.metrics.kernel);
    this.#starter = new Starter({
      ...parts,
      kernelSocket: this.#kernelSocket,
      storage: this.#storage,
      code,
      environment: options.environment ?? ownEnvironment(),
    });
    this.loader = this.#createLoader({ lifecycle, routes });
    this.#serveBuiltins(lifecycle, routes);
    this.#watcher = options.watch === true ? new Watcher(this.loader, log) : undefined;
  }

  #serveBuiltins(lifecycle: Lifecycle, routes: Routes): void {
    createBuiltins({
      ...this.#parts,
      access: () => this.#openedAccess(),
      lifecycle,
      history: this.#history,
      routes,
      loader: this.loader,
      health: this.#health,
      memory: this.#memory,
      propagatedHeaders: this.#parts.config.propagatedHeaders,
      service: this.#service,
      secretsFor: (process) => this.#starter.secrets(process.manifest),
    });
  }

  #openListeners(): Listeners {
    return new Listeners({
      ...this.#parts,
      host: this.#host,
      kernelSocket: this.#kernelSocket,
      probes: createProbes(this.#readiness),
    });
  }

  #openReadiness(): Readiness {
    const { router, config } = this.#parts;
    return new Readiness({
      health: this.#health,
      router,
      required: config.requiredPlugins,
      find: (id) => this.loader.find(id),
    });
  }

  #createLoader(own: Pick<LoaderParts, 'lifecycle' | 'routes'>): Loader {
    const { log, home, config } = this.#parts;
    return new Loader({
      ...own,
      log,
      kernelVersion: KERNEL_VERSION,
      rollbackWindowMs: config.rollbackWindowMs,
      hasMemoryFor,
      onSwap: (record) => this.#service.note(record),
      admit: this.#admission(home),
      start: (version) => this.#starter.start(version),
      events: this.#parts.events.held,
      prepare: (version) => this.#starter.prepare(version),
      preview: (version) => this.#starter.preview(version),
    });
  }

  #openedAccess(): OpenedAccess {
    if (this.#access === undefined) throw new Error('Access control is not open yet.');
    return this.#access;
  }

  async start(): Promise<KernelAddresses> {
    const { options, gate, observers, metrics } = this.#parts;
    const environment = ownEnvironment();
    await observers.open({ ...this.#parts, metrics: metrics.kernel, environment });
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
    const memories = await this.#service.open();
    // Whoever edits files wants to see them run.
    const found = options.watch === true ? recognized(folders, memories) : await recall(folders, memories);
    await this.loader.loadAll(found);
    this.#isLoaded = true;
    await this.#watcher?.start();
    this.#readiness.begin(this.loader.records.map(({ id }) => id));
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
    this.#readiness.onChange(record);
    this.#service.note(record);
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

  async stop(): Promise<void> {
    const { config, lock, runDirectory, log, observers, loadReports } = this.#parts;
    const wasStarted = this.#readiness.isStarted;
    this.#readiness.drain();
    await this.#watcher?.close();
    if (wasStarted) await setTimeout(prestopMs(config, this.#host));
    this.#health.close();
    loadReports.close();
    await this.#listeners.close(config.drainMs);
    await this.#service.close();
    await this.loader.stopAll();
    await this.#starter.close();
    await this.#access?.owner.remove();
    await this.#access?.close();
    await observers.close();
    // A kernel that never loaded anything has not taken over from the one before.
    if (this.#isLoaded) await this.#service.stopped();
    await this.#journal.close();
    await this.#history.saved();
    await this.#storage.close();
    await rm(runDirectory, { recursive: true, force: true });
    await lock.close();
    log.info('stopped');
  }
}

/** Behind a mesh it takes a while until nobody sends calls here any more; on the loopback nobody has to be told. */
const PRESTOP_MS = 5_000;

function prestopMs({ prestopMs: configured }: KernelConfig, host: string): number {
  return configured ?? (isLoopbackAddress(host) ? 0 : PRESTOP_MS);
}
