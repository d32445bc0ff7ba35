import path from 'node:path';
import type { DescService } from '@bufbuild/protobuf';
import type { Logger } from '../../sdk/index.ts';
import type { Manifest } from '../../proto/gen/lamella/kernel/v1/manifest_pb.ts';
import {
  PluginAlreadyLoaded,
  PluginInUse,
  PluginNotFound,
  PluginStartFailed,
  PluginsUnresolved,
} from '../errors.ts';
import { resolveGraph } from '../registry/graph.ts';
import { readManifest } from '../registry/manifest.ts';
import { StatusError } from '../status-error.ts';
import { Code } from '../../sdk/index.ts';
import type { Instance } from './instance.ts';
import type { Started } from './inline.ts';
import type { Lifecycle } from './lifecycle.ts';
import { allDescribed, shippedServices } from './proto/shipped-services.ts';
import type { PluginRecord } from './record.ts';
import type { Routes } from './routes.ts';
import { Slot } from './slot.ts';
import { Supervisor } from './supervisor.ts';

/** What the loader needs of the rest of the kernel. */
export interface LoaderParts {
  readonly log: Logger;
  readonly lifecycle: Lifecycle;
  readonly routes: Routes;
  /** Starts an instance at the level the operator chose. */
  readonly start: (manifest: Manifest, directory: string) => Promise<Started>;
  readonly kernelVersion: string;
}

/** Longest wait of a call for a plugin that is not ready, in milliseconds. */
const PARKED_MS = 10_000;

/** Calls that may wait for a plugin when its manifest does not say, enough for one burst of clients. */
const PARKED_CALLS = 1_024;

/** Time that running calls get when their instance is replaced, in milliseconds. */
const DRAIN_MS = 30_000;

/** Loads, replaces, restarts and unloads plugins. */
export class Loader {
  readonly #parts: LoaderParts;
  readonly #records: Map<string, PluginRecord> = new Map();
  readonly #supervisor: Supervisor;

  constructor(parts: LoaderParts) {
    this.#parts = parts;
    this.#supervisor = new Supervisor(parts.lifecycle, (record) => this.#restart(record));
  }

  get records(): PluginRecord[] {
    return [...this.#records.values()];
  }

  /** @throws PLUGIN_NOT_FOUND */
  record(id: string): PluginRecord {
    const record = this.#records.get(id);
    if (record === undefined) throw new PluginNotFound({ plugin: id });
    return record;
  }

  /**
   * Loads many plugins at once, side by side. One that fails to start is FAILED and does not keep the others.
   *
   * @throws PLUGINS_UNRESOLVED lists everything that is wrong with the set: manifests, dependencies, cycles.
   */
  async loadAll(directories: readonly string[]): Promise<void> {
    const read = await Promise.allSettled(directories.map((directory) => readManifest(directory)));
    const problems = read.flatMap((result) =>
      result.status === 'rejected' ? [(result.reason as Error).message] : [],
    );
    const manifests = read.flatMap((result, index) =>
      result.status === 'fulfilled' ? [{ manifest: result.value, directory: directories[index] ?? '' }] : [],
    );
    problems.push(...this.#unresolved(manifests.map(({ manifest }) => manifest)));
    if (problems.length > 0) throw new PluginsUnresolved({ failures: list(problems) });
    const records = manifests.map(({ manifest, directory }) => this.#add(manifest, directory));
    await Promise.allSettled(records.map((record) => this.#exclusively(record, () => this.#begin(record))));
  }

  /** Loads one plugin. Nothing is left of it when it does not start. */
  async load(directory: string): Promise<PluginRecord> {
    const absolute = path.resolve(directory);
    const manifest = await readManifest(absolute);
    const known = this.#records.get(manifest.id);
    if (known !== undefined) {
      throw new PluginAlreadyLoaded({ plugin: manifest.id, directory: known.directory });
    }
    const problems = this.#unresolved([manifest]);
    if (problems.length > 0) throw new PluginsUnresolved({ failures: list(problems) });
    const record = this.#add(manifest, absolute);
    try {
      await this.#exclusively(record, () => this.#begin(record));
    } catch (error) {
      this.#forget(record);
      throw error;
    }
    return record;
  }

  /** Replaces a plugin by what its folder holds now. When that does not start, the old instance stays in service. */
  async reload(id: string): Promise<PluginRecord> {
    const record = this.record(id);
    await this.#exclusively(record, () => this.#replace(record));
    return record;
  }

  /** @throws PLUGIN_IN_USE names the plugins that require what this one provides. */
  async unload(id: string): Promise<void> {
    const record = this.record(id);
    const dependants = this.#dependants(record);
    if (dependants.length > 0) {
      throw new PluginInUse({ plugin: id, dependants: dependants.join(', ') });
    }
    await this.#exclusively(record, async () => {
      await this.#end(record);
      this.#forget(record);
    });
  }

  /** Stops everything, last started first. */
  async stopAll(): Promise<void> {
    this.#supervisor.stop();
    for (const record of this.records.toReversed()) {
      await this.#exclusively(record, () => this.#end(record));
    }
  }

  #unresolved(manifests: readonly Manifest[]): string[] {
    const active = this.records.map((record) => record.manifest);
    const { failures } = resolveGraph(manifests, active, this.#parts.kernelVersion);
    return failures.map(({ pluginId, message, repair }) => `${pluginId}: ${message} ${repair}`);
  }

  #add(manifest: Manifest, directory: string): PluginRecord {
    const { resources } = manifest;
    const slot = new Slot(manifest.id, {
      parked: resources?.queue === undefined || resources.queue === 0 ? PARKED_CALLS : resources.queue,
      parkedMs: PARKED_MS,
      concurrency: resources?.concurrency ?? 0,
    });
    const record = this.#parts.lifecycle.discover({ manifest, directory, slot });
    this.#records.set(record.id, record);
    this.#parts.routes.announce(record);
    return record;
  }

  #forget(record: PluginRecord): void {
    this.#parts.routes.withdraw(record);
    this.#records.delete(record.id);
    this.#parts.lifecycle.remove(record);
  }

  async #begin(record: PluginRecord): Promise<void> {
    const { lifecycle, routes } = this.#parts;
    lifecycle.move(record, 'start');
    try {
      record.services = await shippedServices(record.manifest, record.directory);
      // Their methods are known before the process runs, so that calls wait for it instead of being refused.
      routes.open(record);
      const started = await this.#start(record.manifest, record.directory, record.services);
      this.#install(record, started);
    } catch (error) {
      lifecycle.move(record, 'fail', (error as Error).message);
      throw error;
    }
  }

  async #replace(record: PluginRecord): Promise<void> {
    const { lifecycle, log } = this.#parts;
    try {
      const manifest = await readManifest(record.directory);
      if (manifest.id !== record.id) {
        throw new PluginStartFailed({
          plugin: record.id,
          cause: `its plugin.json now says id '${manifest.id}'; unload '${record.id}' and load the folder anew.`,
        });
      }
      const shipped = await shippedServices(manifest, record.directory);
      const started = await this.#start(manifest, record.directory, shipped);
      record.manifest = manifest;
      this.#install(record, started);
    } catch (error) {
      // The old instance, if any, stays in service; people must still see why nothing changed.
      lifecycle.note(record, `reload failed: ${(error as Error).message}`);
      log.warn('reload failed; the previous version stays in service', { plugin: record.id, error });
      throw error;
    }
  }

  /** Starts an instance and makes sure that all it provides can be called. */
  async #start(manifest: Manifest, directory: string, shipped: readonly DescService[]): Promise<Started> {
    const started = await this.#parts.start(manifest, directory);
    try {
      return { ...started, services: allDescribed(manifest, shipped, started.services) };
    } catch (error) {
      await started.instance.stop();
      throw error;
    }
  }

  #install(record: PluginRecord, started: Started): void {
    const { lifecycle, routes } = this.#parts;
    record.services = started.services;
    routes.open(record);
    const previous = record.slot.swap(started.instance);
    lifecycle.move(record, 'activate');
    this.#supervisor.watch(record, started.instance);
    if (previous !== undefined) this.#retire(record, previous);
  }

  /** Lets an instance finish its calls, then stops it; nobody waits for that. */
  #retire(record: PluginRecord, instance: Instance): void {
    record.draining.add(instance);
    void this.#drainAndStop(record, instance);
  }

  async #drainAndStop(record: PluginRecord, instance: Instance): Promise<void> {
    const aborted = await instance.load.drain(
      DRAIN_MS,
      new StatusError({
        code: Code.UNAVAILABLE,
        message: `Plugin '${record.id}' was replaced and this call did not end within ${DRAIN_MS / 1_000} s; retry.`,
      }),
    );
    if (aborted > 0)
      this.#parts.log.warn('calls were aborted after the drain time', { plugin: record.id, aborted });
    await instance.stop();
    record.draining.delete(instance);
  }

  async #end(record: PluginRecord): Promise<void> {
    const { lifecycle } = this.#parts;
    const instance = record.slot.swap(undefined);
    if (instance === undefined) {
      lifecycle.move(record, 'stop');
      return;
    }
    lifecycle.move(record, 'drain');
    record.draining.add(instance);
    await this.#drainAndStop(record, instance);
    lifecycle.move(record, 'stop');
  }

  /** Called by the supervisor after a crash and its pause. */
  async #restart(record: PluginRecord): Promise<void> {
    await this.#exclusively(record, async () => {
      if (this.#records.get(record.id) !== record || record.slot.instance !== undefined) return;
      await this.#begin(record);
    });
  }

  #dependants(record: PluginRecord): string[] {
    const provided = new Set(record.manifest.provides.map(({ service }) => service));
    return this.records
      .filter((other) => other !== record)
      .filter(({ manifest }) =>
        manifest.requires.some(({ service, optional }) => !optional && provided.has(service)),
      )
      .map(({ id }) => id);
  }

  async #exclusively<Result>(record: PluginRecord, work: () => Promise<Result>): Promise<Result> {
    const result = record.pending.then(work, work);
    record.pending = result.catch(() => undefined);
    return result;
  }
}

function list(problems: readonly string[]): string {
  return problems.map((problem) => `  - ${problem}`).join('\n');
}
