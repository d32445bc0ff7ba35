import { randomBytes } from 'node:crypto';
import { chmod, mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { HomeInUse } from '../errors.ts';
import { HomeLock } from '../home-lock.ts';
import { InstallBusy, NothingBefore, NotInstalled } from './errors.ts';
import {
  type Installed,
  type InstalledPlugin,
  type InstalledVersion,
  readLockFile,
  syncFolder,
  writeLockFile,
} from './lock-file.ts';
import { digestFolder, readPackage, type SoundPackage } from './package-folder.ts';

/** Versions of a plugin that are kept for a rollback beside the present one. */
const KEPT = 3;

/** What a change of what is installed came to. */
export interface Change {
  readonly id: string;
  readonly installed: InstalledPlugin;
  readonly directory: string;
  /** The version in place before; undefined for a new plugin. */
  readonly replaced: InstalledVersion | undefined;
}

/**
 * Plugins installed in a home folder.
 *
 * @remarks A version is written to a folder of its own and renamed into place, then the lock file is replaced, then what
 * nobody needs any more is removed. Killed at any point, the lock file names complete folders only; what is left over
 * is removed by the next change.
 */
export class Installations {
  readonly #home: string;
  /** Folder that holds everything installed. */
  readonly root: string;

  constructor(home: string) {
    this.#home = home;
    this.root = path.join(home, 'installed');
  }

  /** @throws LOCK_FILE_INVALID */
  async list(): Promise<Installed> {
    return readLockFile(this.#home);
  }

  /** Folder of a version; it is named by its content, so that it never changes once it is there. */
  directoryOf(id: string, { version, digest }: Pick<InstalledVersion, 'version' | 'digest'>): string {
    return path.join(this.root, id, `${version}-${digest.slice('sha256:'.length, 'sha256:'.length + 16)}`);
  }

  /** @throws NOT_INSTALLED */
  async get(id: string): Promise<InstalledPlugin> {
    const installed = (await this.list())[id];
    if (installed === undefined) throw new NotInstalled({ plugin: id });
    return installed;
  }

  /**
   * Lets one command at a time change what is installed.
   *
   * @param use - Gets an empty folder on the same file system for a package to be made in; it is removed afterwards.
   * @throws INSTALL_BUSY
   */
  async change<Result>(use: (stage: string) => Promise<Result>): Promise<Result> {
    const lock = await HomeLock.take(this.#home, 'install.lock').catch((error: unknown) => {
      if (!(error instanceof HomeInUse)) throw error;
      throw new InstallBusy({ home: this.#home, pid: error.metadata['pid'] ?? '' }, { cause: error });
    });
    const stage = path.join(this.root, `${STAGE}${randomBytes(6).toString('hex')}`);
    try {
      await mkdir(stage, { recursive: true, mode: 0o700 });
      return await use(stage);
    } finally {
      await rm(stage, { recursive: true, force: true });
      await lock.close();
    }
  }

  /** Takes a checked package out of its stage and makes it the present version. */
  async install(stage: string, { manifest, digest, signer }: SoundPackage, source: string): Promise<Change> {
    const plugins = await this.list();
    const { id, version } = manifest;
    const directory = this.directoryOf(id, { version, digest });
    await this.#place(stage, directory);
    const known = plugins[id];
    const installTime = new Date().toISOString();
    const now: InstalledVersion = { version, source, digest, signer: signer ?? null, installTime };
    const previous = known === undefined ? [] : [versionOf(known), ...known.previous];
    return this.#commit(id, {
      ...now,
      previous: previous.filter((other) => other.digest !== digest).slice(0, KEPT),
    });
  }

  /**
   * Finds the version that a rollback would bring.
   *
   * @throws NOT_INSTALLED, NOTHING_BEFORE, PACKAGE_INVALID when its files were changed.
   */
  async before(id: string, version?: string): Promise<InstalledVersion> {
    const { previous } = await this.get(id);
    const found = previous.find((one) => version === undefined || one.version === version);
    if (found === undefined) {
      const kept = previous.map((one) => one.version).join(', ');
      throw new NothingBefore({
        plugin: id,
        version: version ?? 'earlier',
        kept: kept === '' ? 'none' : kept,
      });
    }
    await readPackage(this.directoryOf(id, found));
    return found;
  }

  /** Makes an earlier version the present one; the present one becomes the first to roll back to. */
  async rollBack(id: string, target: InstalledVersion): Promise<Change> {
    const known = await this.get(id);
    const rest = known.previous.filter(({ digest }) => digest !== target.digest);
    return this.#commit(id, { ...target, previous: [versionOf(known), ...rest] });
  }

  /** Forgets a plugin with all its versions. What it has stored under `plugins/<id>` stays. @throws NOT_INSTALLED */
  async remove(id: string): Promise<InstalledPlugin> {
    const known = await this.get(id);
    const { [id]: _removed, ...rest } = await this.list();
    await writeLockFile(this.#home, rest);
    await this.#sweep(rest);
    return known;
  }

  /** Makes what is installed what it was. */
  async restore(plugins: Installed): Promise<void> {
    await writeLockFile(this.#home, plugins);
    await this.#sweep(plugins);
  }

  async #commit(id: string, installed: InstalledPlugin): Promise<Change> {
    const plugins = await this.list();
    const known = plugins[id];
    const next = { ...plugins, [id]: installed };
    await writeLockFile(this.#home, next);
    await this.#sweep(next);
    return {
      id,
      installed,
      directory: this.directoryOf(id, installed),
      replaced: known === undefined ? undefined : versionOf(known),
    };
  }

  /** Moves a package to its place; a sound one that is there already stays. */
  async #place(stage: string, directory: string): Promise<void> {
    const isThere = await readPackage(directory).then(
      () => true,
      () => false,
    );
    if (isThere) return;
    await settle(stage);
    await mkdir(path.dirname(directory), { recursive: true, mode: 0o700 });
    await rm(directory, { recursive: true, force: true });
    await rename(stage, directory);
    await syncFolder(path.dirname(directory));
    await syncFolder(this.root);
  }

  /** Removes folders that the lock file does not name, and stages that a killed command left. */
  async #sweep(plugins: Installed): Promise<void> {
    for (const id of await names(this.root)) {
      const folder = path.join(this.root, id);
      const plugin = plugins[id];
      if (plugin === undefined) {
        await rm(folder, { recursive: true, force: true });
        continue;
      }
      const kept = new Set([plugin, ...plugin.previous].map((version) => this.directoryOf(id, version)));
      for (const name of await names(folder)) {
        const directory = path.join(folder, name);
        if (!kept.has(directory)) await rm(directory, { recursive: true, force: true });
      }
    }
  }
}

/** Beginning of the names of folders in which packages are made; no plugin's id can begin so. */
const STAGE = '.stage-';

function versionOf({ version, source, digest, signer, installTime }: InstalledVersion): InstalledVersion {
  return { version, source, digest, signer, installTime };
}

async function names(directory: string): Promise<string[]> {
  return readdir(directory).catch(() => []);
}

/** Makes the files of a package durable and read-only, against slips; the digests are against all else. */
async function settle(stage: string): Promise<void> {
  for (const [name, { executable }] of await digestFolder(stage)) {
    const file = path.join(stage, name);
    const handle = await open(file, 'r');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
    await chmod(file, executable ? 0o500 : 0o400);
  }
  await syncFolder(stage);
}
