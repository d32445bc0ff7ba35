import type { PluginFolder, Version } from './generation.ts';
import { idOf } from '../packaging/folders-to-load.ts';
import { readFolder } from './code-store.ts';

/** What is remembered of a plugin, so that a kernel that was killed comes back with what it had. */
export interface Recalled {
  /** Folder that it was loaded from last; the version in service may be of another one. */
  readonly asked: string;
  /** What was in service, or was to be. */
  readonly version: Version;
  readonly canary: { readonly version: Version; readonly percent: number } | undefined;
  /** Code that was taken out of service by a rollback. */
  readonly setAside: string | undefined;
  readonly crashesMs: readonly number[];
  readonly restarts: number;
  /** Why it was given up; `undefined` when it was not. */
  readonly failure: string | undefined;
  readonly isQuarantined: boolean;
}

/** What an earlier run left behind. */
export interface Memories {
  readonly plugins: readonly Recalled[];
  /** Folders that the run before had loaded, also one of another version of the kernel. */
  readonly loaded: ReadonlySet<string>;
  /** Whether that run did not stop in order. */
  readonly wasKilled: boolean;
}

/**
 * Adds to each folder what is remembered of its plugin and still holds. After a kill that is everything. A kernel that
 * was stopped in order takes what the folders hold now, as its operator expects, but does not forget a decision: a canary
 * stays one, and what was rolled back stays out, as long as the folder holds nothing new.
 */
export async function recall(named: readonly PluginFolder[], memories: Memories): Promise<PluginFolder[]> {
  const { plugins, wasKilled } = memories;
  const folders = recognized(named, memories);
  const byFolder = new Map(
    plugins.flatMap((found) => [[found.version.directory, found] as const, [found.asked, found] as const]),
  );
  const known = await Promise.all(
    folders.map(async (folder) => {
      const found = byFolder.get(folder.directory);
      if (found === undefined) return folder;
      if (wasKilled) return { ...folder, recalled: found };
      return (await isDecided(found, folder)) ? { ...folder, recalled: rested(found) } : folder;
    }),
  );
  return [...known, ...(await inQuarantine(folders, plugins))];
}

/** Marks the folders that the run before had loaded. */
export function recognized(folders: readonly PluginFolder[], { loaded }: Memories): PluginFolder[] {
  return folders.map((folder) => ({ ...folder, wasLoaded: loaded.has(folder.directory) }));
}

/** What may not run is in no list of folders to load, and is to be seen until somebody has looked at it. */
async function inQuarantine(
  folders: readonly PluginFolder[],
  plugins: readonly Recalled[],
): Promise<PluginFolder[]> {
  const quarantined = plugins.filter(({ isQuarantined }) => isQuarantined);
  if (quarantined.length === 0) return [];
  const taken = new Set(await Promise.all(folders.map(({ directory }) => idOf(directory))));
  const found = quarantined.map(async ({ asked, version: { manifest, level } }) => {
    const isThere = !taken.has(manifest.id) && (await idOf(asked)) === manifest.id;
    return isThere ? [{ directory: asked, level }] : [];
  });
  return (await Promise.all(found)).flat();
}

/** Tells whether somebody has decided already what becomes of the code that a folder holds. */
async function isDecided(found: Recalled, { directory, level }: PluginFolder): Promise<boolean> {
  const { canary, setAside, version } = found;
  const decided = [canary?.version.digest, setAside].filter((digest) => digest !== undefined);
  if (decided.length === 0) return false;
  const now = await readFolder({ manifest: version.manifest, directory, level }).catch(() => undefined);
  return now !== undefined && [version.digest, ...decided].includes(now.digest);
}

/** A start in order is a new try. */
function rested(found: Recalled): Recalled {
  return { ...found, crashesMs: [], restarts: 0, failure: undefined };
}
