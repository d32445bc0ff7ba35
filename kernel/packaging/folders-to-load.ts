import type { PluginFolder } from '../loader/generation.ts';
import { readManifest } from '../registry/manifest.ts';
import type { Installations } from './installations.ts';

/** Where a kernel's plugins may come from. */
export interface FolderSources {
  /** Named when the kernel was started. */
  readonly given: readonly string[];
  readonly installations: Installations;
  /** Loaded by hand into an earlier run, by plugin id. */
  readonly remembered: ReadonlyMap<string, PluginFolder>;
}

/**
 * One folder for each plugin: an installed one takes the place of one that comes with the kernel, one loaded by hand
 * that of an installed one. Installing forgets what was loaded by hand, so that the later of both counts.
 *
 * @throws LOCK_FILE_INVALID
 */
export async function foldersToLoad({
  given,
  installations,
  remembered,
}: FolderSources): Promise<readonly PluginFolder[]> {
  const later = new Map<string, PluginFolder>();
  for (const [id, plugin] of Object.entries(await installations.list())) {
    later.set(id, { directory: installations.directoryOf(id, plugin) });
  }
  for (const [id, folder] of remembered) later.set(id, folder);
  const ids = await Promise.all(given.map(idOf));
  const kept = given.filter((_, index) => !later.has(ids[index] ?? '')).map((directory) => ({ directory }));
  const folders = [...kept, ...later.values()];
  return [...new Map(folders.map((folder) => [folder.directory, folder])).values()];
}

/** Id of the plugin in a folder; undefined when its manifest is wrong, which the loader will say. */
export async function idOf(directory: string): Promise<string | undefined> {
  return readManifest(directory).then(
    ({ id }) => id,
    () => undefined,
  );
}
