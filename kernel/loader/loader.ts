import path from 'node:path';
import type { Logger } from '../../sdk/index.ts';
import { PluginInUse, RemoteUnreachable } from '../errors.ts';
import { readManifest } from '../registry/manifest.ts';
import { isLazy } from '../registry/activation.ts';
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
import { checkUpgrade } from './upgrade-check.ts';

/** What the loader needs of the rest of the kernel. */
export interface LoaderParts extends SwapperParts, LauncherParts, PluginRecordsParts {
  readonly log: Logger;
  readonly events: LazyStartParts['events'];
  readonly kernelVersion: string;
  /** What is known of a version before it starts. @throws as `prepare` */
  readonly preview: (version: Version) => Promise<Preview>;
}

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

  constructor(parts: LoaderParts) {
    this.#parts = parts;
    this.#records = new PluginRecords(parts);
    this.#launcher = new Launcher(parts);
    // What is in quarantine provides nothing, and its manifest may claim anything.
    const usable = (): PluginRecord[] => this.records.filter(({ state }) => state !== 'QUARANTINED');
    this.#dependencies = new Dependencies(usable, parts.kernelVersion);
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

  /** @throws PLUGIN_NOT_FOUND */
  record(id: string): PluginRecord {
    return this.#records.get(id);
  }

  /**
   * Loads many plugins at once, side by side. One that fails to start is FAILED and one that may not run QUARANTINED;
   * neither keeps the others.
   *
   * @throws PLUGINS_UNRESOLVED lists everything that is wrong with the set: manifests, dependencies, cycles.
   */
  async loadAll(folders: readonly PluginFolder[]): Promise<void> {
    const { versions: known, problems } = await readVersions(folders);
    const admitted = await Promise.allSettled(known.map((version) => this.#records.admitOrKeep(version)));
    const versions = known.filter((_, index) => admitted[index]?.status === 'fulfilled');
    const failures = this.#dependencies.failures(versions.map(({ manifest }) => manifest));
    refuse([...problems, ...describeFailures(failures)]);
    const added = versions.map((version) => ({ record: this.#records.add(version), version }));
    this.#parts.routes.complete();
    await Promise.allSettled(
      added.map(({ record, version }) => this.#beginOrRetry(record, version.recalled)),
    );
  }

  /**
   * Loads one plugin, or upgrades it to what the folder holds when it is loaded already. Nothing is left of a new one
   * that does not start; of a loaded one the version in service stays.
   *
   * @throws PLUGIN_QUARANTINED when it may not run; it is listed then, with the reason.
   */
  async load(directory: string, options: LoadOptions = {}): Promise<PluginRecord> {
    const absolute = path.resolve(directory);
    const manifest = await readManifest(absolute);
    const known = this.#records.find(manifest.id);
    if (known?.state === 'QUARANTINED') this.#records.forget(known);
    else if (known !== undefined) {
      await this.#exclusively(known, () => this.#replace(known, absolute, options));
      return known;
    }
    if (isCanary(options))
      throw new CanaryImpossible({ plugin: manifest.id, why: 'nothing is in service yet' });
    const version = { manifest, directory: absolute, level: options.isolation };
    await this.#records.admitOrKeep(version);
    refuse(describeFailures(this.#dependencies.failures([manifest])));
    const record = this.#records.add(version);
    try {
      await this.#exclusively(record, () => this.#beginOrRest(record));
    } catch (error) {
      this.#lazyStart.forget(record);
      this.#records.forget(record);
      throw error;
    }
    return record;
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
    const record = this.record(id);
    if (record.state === 'QUARANTINED') return this.load(record.directory, options);
    await this.#exclusively(record, () => this.#replace(record, record.directory, options));
    return record;
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
   * Drains, stops and forgets a plugin.
   *
   * @param isForced - Also when others require it; they turn DEGRADED.
   * @throws PLUGIN_IN_USE names the plugins that require what this one provides.
   */
  async unload(id: string, isForced = false): Promise<void> {
    const record = this.record(id);
    const dependants = this.#dependencies.dependants(record);
    if (dependants.length > 0 && record.state !== 'QUARANTINED' && !isForced) {
      throw new PluginInUse({ plugin: id, dependants: dependants.join(', ') });
    }
    await this.#exclusively(record, async () => {
      await this.#end(record);
      this.#lazyStart.forget(record);
      this.#records.forget(record);
    });
  }

  /** Stops everything, last started first. */
  async stopAll(): Promise<void> {
    this.#supervisor.stop();
    this.#lazyStart.stop();
    this.#degradation.stop();
    for (const record of this.records.toReversed()) {
      await this.#exclusively(record, () => this.#end(record));
    }
  }

  /** A plugin elsewhere may well be started after the kernel; anything else that does not start will not do so later. */
  async #beginOrRetry(record: PluginRecord, recalled?: Recalled): Promise<void> {
    try {
      await this.#exclusively(record, () => this.#beginOrResume(record, recalled));
    } catch (error) {
      if (error instanceof RemoteUnreachable) this.#supervisor.retry(record, error);
      else throw error;
    }
  }

  async #beginOrRest(record: PluginRecord): Promise<void> {
    await (isLazy(record.manifest) ? this.#lazyStart.rest(record) : this.#begin(record));
  }

  /** Goes on where an earlier run was killed. */
  async #beginOrResume(record: PluginRecord, recalled: Recalled | undefined): Promise<void> {
    if (recalled === undefined) return this.#beginOrRest(record);
    const { asked, setAside, crashesMs, restarts, failure, canary } = recalled;
    Object.assign(record, { asked, setAside, restarts, crashesMs: [...crashesMs], givenUp: failure });
    if (failure !== undefined) return this.#parts.lifecycle.move(record, 'fail', failure);
    await (canary === undefined ? this.#beginOrRest(record) : this.#begin(record));
    // A rollback that was decided holds; putting the version into service forgets it.
    record.setAside = setAside;
    if (canary !== undefined) await this.#resumeCanary(record, canary);
  }

  async #resumeCanary(record: PluginRecord, canary: NonNullable<Recalled['canary']>): Promise<void> {
    const { lifecycle, log } = this.#parts;
    try {
      const generation = await this.#launcher.launch(record, canary.version);
      this.#swapper.tryOut(record, generation, canary.percent);
      this.#supervisor.watch(record, generation);
    } catch (error) {
      const { version } = canary.version.manifest;
      lifecycle.note(record, `the trial of version ${version} has ended: ${(error as Error).message}`);
      log.warn('a canary could not be started again', { plugin: record.id, version, error });
    }
  }

  async #begin(record: PluginRecord): Promise<void> {
    const { lifecycle } = this.#parts;
    lifecycle.move(record, 'start');
    try {
      const generation = await this.#launcher.launch(record, record);
      this.#swapper.upgrade(record, generation);
      this.#supervisor.watch(record, generation);
    } catch (error) {
      lifecycle.move(record, 'fail', (error as Error).message);
      throw error;
    }
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
    await this.#exclusively(record, async () => {
      if (this.#records.find(record.id) !== record || record.active !== undefined) return;
      try {
        await this.#parts.admit(record.manifest, record.directory);
      } catch (error) {
        // Its files were changed while it ran: it stays down until an operator has looked.
        this.#parts.lifecycle.move(record, 'quarantine', (error as Error).message);
        return;
      }
      await this.#begin(record);
    });
  }

  #onAiling(record: PluginRecord, generation: Generation): void {
    if (generation.instance.load.vitals.isUnhealthy && this.#swapper.replaceIll(record, generation)) return;
    if (record.active === generation) this.#degradation.examine(record);
  }

  async #exclusively<Result>(record: PluginRecord, work: () => Promise<Result>): Promise<Result> {
    const result = record.pending.then(work, work);
    record.pending = result.catch(() => undefined);
    return result;
  }
}
