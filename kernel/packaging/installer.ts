import semver from 'semver';
import { KERNEL_VERSION } from '../version.ts';
import { InstallImpossible, PackageUntrusted } from './errors.ts';
import { fetchPackage } from './fetch-package.ts';
import { type Change, Installations } from './installations.ts';
import type { InstalledVersion } from './lock-file.ts';
import type { SoundPackage } from './package-folder.ts';
import { judge } from './trust.ts';
import type { TrustStore } from './trust-store.ts';

/** The kernel that has the home folder: one that runs, or nothing but its memory. */
export interface HomeKernel {
  /** Loads a folder, or upgrades what is loaded to it, without losing a call. */
  load(id: string, directory: string): Promise<void>;
  unload(id: string): Promise<void>;
  /** Puts the version before back at once. @returns its folder; undefined when there is none to go back to. */
  rollBack(id: string): Promise<string | undefined>;
}

/** Input of {@link Installer}. */
export interface InstallerParts {
  readonly home: string;
  readonly kernel: HomeKernel;
  readonly trust: TrustStore;
  /** Environment for npm. */
  readonly environment: NodeJS.ProcessEnv;
  /** Told what is being done, for people who wait. */
  readonly progress: (text: string) => void;
}

/** How a plugin is installed. */
export interface InstallOptions {
  /** Vouch for exactly this package: its digest goes to the trust list. */
  readonly trust?: boolean;
}

/** What an installation comes to, or would. */
export interface InstallPlan {
  readonly sound: SoundPackage;
  readonly from: string;
  readonly replaces: InstalledVersion | undefined;
}

/** Installs, removes and rolls back plugins: on disk, and in the kernel that runs on the home folder. */
export class Installer {
  readonly #parts: InstallerParts;
  readonly #installations: Installations;

  constructor(parts: InstallerParts) {
    this.#parts = parts;
    this.#installations = new Installations(parts.home);
  }

  /**
   * Does everything but the installation, in a temporary folder.
   *
   * @throws like {@link install}
   */
  async plan(source: string, stage: string, options: InstallOptions): Promise<InstallPlan> {
    const { environment, progress, trust } = this.#parts;
    progress(`fetching ${source}`);
    const { sound, from } = await fetchPackage({ source, environment }, stage);
    const { id, kernel } = sound.manifest;
    progress(`checking ${id} ${sound.manifest.version}`);
    if (kernel !== '' && !semver.satisfies(KERNEL_VERSION, kernel, { includePrerelease: true })) {
      throw new InstallImpossible({
        plugin: id,
        problem: `it needs a kernel ${kernel} and this is ${KERNEL_VERSION}`,
      });
    }
    const verdict = judge({ id, origin: 'installed', sound }, await trust.read());
    if (!verdict.isTrusted && options.trust !== true) {
      throw new PackageUntrusted({
        plugin: id,
        why: verdict.why,
        repair: `${verdict.repair}, or give --trust to vouch for exactly this package`,
      });
    }
    return { sound, from, replaces: (await this.#installations.list())[id] };
  }

  /**
   * Installs a package. When the running kernel cannot start it, everything is as before.
   *
   * @throws PACKAGE_INVALID, PACKAGE_UNTRUSTED, INSTALL_IMPOSSIBLE, NPM_FAILED, INSTALL_BUSY and what loading throws
   */
  async install(source: string, options: InstallOptions): Promise<Change> {
    const { kernel, trust, progress } = this.#parts;
    return this.#installations.change(async (stage) => {
      const { sound, from } = await this.plan(source, stage, options);
      if (options.trust === true) await trust.add([sound.digest]);
      const before = await this.#installations.list();
      progress(`installing into ${this.#parts.home}`);
      const change = await this.#installations.install(stage, sound, from);
      try {
        await kernel.load(change.id, change.directory);
      } catch (error) {
        await this.#installations.restore(before);
        throw error;
      }
      return change;
    });
  }

  /** Stops and removes a plugin with all its versions. @throws NOT_INSTALLED, PLUGIN_IN_USE, INSTALL_BUSY */
  async remove(id: string): Promise<InstalledVersion> {
    return this.#installations.change(async () => {
      await this.#installations.get(id);
      // First: a kernel that needs it refuses, and then it stays.
      await this.#parts.kernel.unload(id);
      return this.#installations.remove(id);
    });
  }

  /** @throws NOT_INSTALLED */
  async get(id: string): Promise<InstalledVersion> {
    return this.#installations.get(id);
  }

  /**
   * Makes an earlier version the present one, by default the one before. When something was loaded by hand over the
   * present one, that alone is taken back.
   *
   * @throws NOT_INSTALLED, NOTHING_BEFORE, PACKAGE_INVALID, INSTALL_BUSY and what loading throws
   */
  async rollBack(id: string, version?: string): Promise<Change> {
    const { kernel } = this.#parts;
    return this.#installations.change(async () => {
      const target = await this.#installations.before(id, version);
      const directory = this.#installations.directoryOf(id, target);
      const present = await this.#installations.get(id);
      const isLast = present.previous[0]?.digest === target.digest;
      // The kernel may still hold that version ready; going back to it then takes no start.
      const reached = isLast ? await kernel.rollBack(id) : undefined;
      const place = this.#installations.directoryOf(id, present);
      if (reached === place) return { id, installed: present, directory: place, replaced: undefined };
      if (reached !== directory) await kernel.load(id, directory);
      return this.#installations.rollBack(id, target);
    });
  }
}
