import path from 'node:path';
import type { Logger } from '../../sdk/index.ts';
import { KernelStopping, RemoteUnreachable } from '../errors.ts';
import { readManifest } from '../registry/manifest.ts';
import { isLazy } from '../registry/activation.ts';
import type { PluginState } from '../registry/state.ts';
import { begin, resume } from './begin.ts';
import { Dependencies, describeFailures, refuse } from './dependencies.ts';
import { CanaryImpossible } from './errors.ts';
import { Degradation } from './degradation.ts';
import type { Generation, PluginFolder, Version } from './generation.ts';
import { Launcher, type LauncherParts } from './launcher.ts';
import { PluginRecords, type PluginRecordsParts } from './plugin-records.ts';
import { readVersions } from './read-versions.ts';
import type { Recalled } from './recall.ts';
import type { PluginRecord } from './record.ts';
import { LazyStart, type LazyStartParts } from './lazy-start.ts';
import { isCanary, type LoadOptions } from './load-options.ts';
import { type LoadPlan, planLoad, type Preview } from './load-plan.ts';
import { launchSuccessor, type SuccessorParts } from './successor.ts';
import { Supervisor } from './supervisor.ts';
import { Swapper, type SwapperParts } from './swapper.ts';
import { Turns } from './turns.ts';
import { checkSameId, checkUpgrade } from './upgrade-check.ts';

/** What the loader needs of the rest of the kernel. */
export interface LoaderParts extends SwapperParts, LauncherParts, PluginRecordsParts {
  readonly log: Logger;
  readonly events: LazyStartParts['events'];
  readonly kernelVersion: string;
  /** What is known of a version before it starts. @throws as `prepare` */
  readonly preview: (version: Version) => Promise<Preview>;
}

/** States that a restart leads out of: after a crash, and for a plugin that waits for its first call. */
const RESTARTABLE: ReadonlySet<PluginState> = new Set(['BACKOFF', 'RESOLVED']);

/** Loads, replaces, restarts and unloads plugins. */
export class Loader {
  readonly #parts: LoaderParts;
  readonly #records: PluginRecords;
  readonly #launcher: Launcher;
  readonly #dependencies: Dependencies;
  readonly #swapper: Swapper;
  readonly #supervisor: Supervisor;
  readonly #degradation: Degradation;
  readonly #successorParts: SuccessorParts;
  readonly #lazyStart: LazyStart;
  readonly #turns: Turns = new Turns();
  /** Resolves when the plugins that the kernel starts with are known. */
  #known: Promise<unknown> = Promise.resolve();
  #isStopping = false;

  constructor(parts: LoaderParts) {
    this.#parts = parts;
    this.#records = new PluginRecords(parts);
    this.#launcher = new Launcher(parts);
    this.#dependencies = new Dependencies(this.#records, parts.kernelVersion);
    this.#swapper = new Swapper(parts);
    this.#degradation = new Degradation(parts.lifecycle, this.#dependencies, () => this.records);
    this.#supervisor = new Supervisor({
      lifecycle: parts.lifecycle,
      lost: (record, generation, how) => this.#swapper.lost(record, generation, how),
      restart: (record) => this.#restart(record),
      ailing: (record, generation) => this.#onAiling(record, generation),
    });
    this.#lazyStart = new LazyStart({ ...parts, start: (record) => this.#restart(record) });
    this.#successorParts = {
      ...parts,
      launcher: this.#launcher,
      swapper: this.#swapper,
      supervisor: this.#supervisor,
    };
  }

  get records(): PluginRecord[] {
    return this.#records.all;
  }

  find(id: string): PluginRecord | undefined {
    return this.#records.find(id);
  }

  /** @throws PLUGIN_NOT_FOUND */
  record(id: string): PluginRecord {
    return this.#records.get(id);
  }

  /**
   * Loads many plugins at once, side by side. One that fails to start is FAILED and one that may not run QUARANTINED;
   * neither keeps the others, and nor does one that the run before had and that misses what was unloaded by force: it
   * starts DEGRADED.
   *
   * @throws PLUGINS_UNRESOLVED lists everything that is wrong with the set: manifests, dependencies, cycles.
   */
  async loadAll(folders: readonly PluginFolder[]): Promise<void> {
    const adding = this.#addAll(folders);
    this.#known = adding.catch(() => undefined);
    await Promise.allSettled(await adding);
  }

  /** Makes plugins known. @returns their starts, which are the first in the queue of each */
  async #addAll(folders: readonly PluginFolder[]): Promise<Promise<void>[]> {
    const { versions: known, problems } = await readVersions(folders);
    const admitted = await Promise.allSettled(known.map((version) => this.#records.admitOrKeep(version)));
    const versions = known.filter((_, index) => admitted[index]?.status === 'fulfilled');
    const failures = this.#dependencies.failuresAtStart(versions);
    refuse([...problems, ...describeFailures(failures)]);
    this.#refuseWhileStopping();
    const added = versions.map((version) => ({ record: this.#records.add(version), version }));
    this.#parts.routes.complete();
    return added.map(({ record, version }) => this.#beginOrRetry(record, version.recalled));
  }

  /**
   * Loads one plugin, or upgrades it to what the folder holds when it is loaded already. Nothing is left of a new one
   * that does not start; of a loaded one the version in service stays.
   *
   * @throws PLUGIN_QUARANTINED when it may not run; it is listed then, with the reason.
   */
  async load(directory: string, options: LoadOptions = {}): Promise<PluginRecord> {
    const absolute = path.resolve(directory);
    const { id } = await readManifest(absolute);
    await this.#known;
    return this.#turns.take(id, () => this.#put(id, absolute, options));
  }

  /** Checks what `load` would check before any code runs, changes nothing, and tells what it would do. */
  async check(directory: string, options: LoadOptions = {}): Promise<LoadPlan> {
    const absolute = path.resolve(directory);
    const manifest = await readManifest(absolute);
    const known = this.#records.find(manifest.id);
    if (known === undefined) refuse(describeFailures(this.#dependencies.failures([manifest])));
    else checkUpgrade(known, manifest, { dependencies: this.#dependencies, isCanary: isCanary(options) });
    await this.#parts.admit(manifest, absolute);
    const level = options.isolation ?? known?.level;
    const preview = await this.#parts.preview({ manifest, directory: absolute, level });
    return planLoad({ ...this.#parts, manifest, preview, record: known, options });
  }

  /** Replaces a plugin by what its folder holds now. When that does not start, the old instance stays in service. */
  async reload(id: string, options: LoadOptions = {}): Promise<PluginRecord> {
    return this.#turns.take(id, () => this.#put(id, this.record(id).directory, options));
  }

  /** Gives all calls to the version on trial. @throws NOTHING_TO_PROMOTE */
  promote(id: string): PluginRecord {
    const record = this.record(id);
    this.#swapper.promote(record);
    return record;
  }

  /** Takes the newest version out of service again, at once. @throws NOTHING_TO_ROLL_BACK */
  rollBack(id: string): PluginRecord {
    const record = this.record(id);
    this.#swapper.rollBack(record);
    return record;
  }

  /**
   * Drains, stops and forgets a plugin. From its beginning on, a plugin that requires it is refused.
   *
   * @param isForced - Also when others require it; they turn DEGRADED.
   * @throws PLUGIN_IN_USE names the plugins that require what this one provides.
   */
  async unload(id: string, isForced = false): Promise<void> {
    await this.#turns.take(id, async () => {
      const record = this.record(id);
      if (!isForced) this.#dependencies.checkUnneeded(record);
      record.isUnloading = true;
      await this.#end(record);
      this.#forget(record);
    });
  }

  /** Stops everything, last started first; nothing is started any more. */
  async stopAll(): Promise<void> {
    this.#isStopping = true;
    this.#supervisor.stop();
    this.#lazyStart.stop();
    this.#degradation.stop();
    for (const record of this.records.toReversed()) {
      await this.#turns.take(record.id, async () => {
        if (this.#records.find(record.id) === record) await this.#end(record);
      });
    }
  }

  /** Puts what a folder holds in the place of the plugin, or makes the plugin known. */
  async #put(id: string, directory: string, options: LoadOptions): Promise<PluginRecord> {
    const known = this.#records.find(id);
    if (known === undefined || known.state === 'QUARANTINED') return this.#add(id, directory, options);
    this.#refuseWhileStopping();
    await this.#replace(known, directory, options);
    return known;
  }

  async #add(id: string, directory: string, options: LoadOptions): Promise<PluginRecord> {
    const manifest = await readManifest(directory);
    checkSameId(id, manifest);
    if (isCanary(options)) throw new CanaryImpossible({ plugin: id, why: 'nothing is in service yet' });
    const quarantined = this.#records.find(id);
    if (quarantined !== undefined) this.#forget(quarantined);
    const version = { manifest, directory, level: options.isolation };
    await this.#records.admitOrKeep(version);
    refuse(describeFailures(this.#dependencies.failures([manifest])));
    this.#refuseWhileStopping();
    const record = this.#records.add(version);
    try {
      await this.#beginOrRest(record);
    } catch (error) {
      this.#forget(record);
      throw error;
    }
    return record;
  }

  #forget(record: PluginRecord): void {
    this.#lazyStart.forget(record);
    this.#records.forget(record);
  }

  /** @throws KERNEL_STOPPING: what came now would be stopped by nobody. */
  #refuseWhileStopping(): void {
    if (this.#isStopping) throw new KernelStopping({});
  }

  /** A plugin elsewhere may well be started after the kernel; anything else that does not start will not do so later. */
  async #beginOrRetry(record: PluginRecord, recalled?: Recalled): Promise<void> {
    try {
      await this.#turns.take(record.id, () =>
        recalled === undefined
          ? this.#beginOrRest(record)
          : resume(record, recalled, { ...this.#successorParts, begin: () => this.#beginOrRest(record) }),
      );
    } catch (error) {
      if (error instanceof RemoteUnreachable) this.#supervisor.retry(record, error);
      else throw error;
    }
  }

  async #beginOrRest(record: PluginRecord): Promise<void> {
    await (isLazy(record.manifest) ? this.#lazyStart.rest(record) : begin(record, this.#successorParts));
  }

  async #replace(record: PluginRecord, directory: string, options: LoadOptions): Promise<void> {
    const { lifecycle, log } = this.#parts;
    try {
      const manifest = await readManifest(directory);
      checkUpgrade(record, manifest, { dependencies: this.#dependencies, isCanary: isCanary(options) });
      await this.#parts.admit(manifest, directory);
      const version = { manifest, directory, level: options.isolation ?? record.level };
      const generation = await launchSuccessor(record, version, this.#successorParts);
      // People have seen what was wrong and tried again.
      record.crashesMs = [];
      record.asked = directory;
      if (isCanary(options)) this.#swapper.tryOut(record, generation, options.canaryPercent);
      else this.#swapper.upgrade(record, generation);
      this.#supervisor.watch(record, generation);
    } catch (error) {
      // The old instance, if any, stays in service; people must still see why nothing changed.
      lifecycle.note(record, `reload failed: ${(error as Error).message}`);
      log.warn('reload failed; the previous version stays in service', { plugin: record.id, error });
      throw error;
    }
  }

  async #end(record: PluginRecord): Promise<void> {
    const { lifecycle } = this.#parts;
    if (record.active !== undefined) lifecycle.move(record, 'drain');
    await this.#swapper.end(record);
    lifecycle.move(record, 'stop');
  }

  /** Called by the supervisor after a crash and its pause, and for a plugin that waited for its first call. */
  async #restart(record: PluginRecord): Promise<void> {
    await this.#turns.take(record.id, async () => {
      // Somebody may have loaded another version meanwhile, unloaded it, or found that it may not run.
      if (!RESTARTABLE.has(record.state) || this.#isStopping) return;
      try {
        await this.#parts.admit(record.manifest, record.directory);
      } catch (error) {
        if (record.active !== undefined) return;
        // Its files were changed while it ran: it stays down until an operator has looked.
        this.#parts.lifecycle.move(record, 'quarantine', (error as Error).message);
        await this.#swapper.end(record);
        return;
      }
      // A canary may have been promoted meanwhile.
      if (record.active === undefined) await begin(record, this.#successorParts);
    });
  }

  #onAiling(record: PluginRecord, generation: Generation): void {
    if (generation.instance.load.vitals.isUnhealthy && this.#swapper.replaceIll(record, generation)) return;
    if (record.active === generation) this.#degradation.examine(record);
  }
}
