import { access, readdir } from 'node:fs/promises';
import path from 'node:path';
import { PACKAGE_DIRECTORY } from '../../sdk/package-directory.ts';

/**
 * The plugins that come with Lamella: built, or from source when the kernel shall follow changes to them.
 *
 * @returns folders that hold `plugin.json`, sorted.
 */
export async function bundledPlugins(options: { readonly fromSource: boolean }): Promise<string[]> {
  const source = path.join(PACKAGE_DIRECTORY, 'plugins');
  const built = path.join(PACKAGE_DIRECTORY, 'dist', 'plugins');
  return options.fromSource && (await exists(source)) ? pluginFolders(source) : pluginFolders(built);
}

/**
 * Finds plugins: the folder itself, or those at most three levels below it.
 *
 * @throws Error if the folder does not exist.
 */
export async function pluginFolders(folder: string, levels = 3): Promise<string[]> {
  if (await exists(path.join(folder, 'plugin.json'))) return [folder];
  const entries = await readdir(folder, { withFileTypes: true }).catch((cause: unknown) => {
    throw new Error(`The plugin folder ${folder} cannot be read; give one that exists.`, { cause });
  });
  if (levels === 0) return [];
  const below = entries
    .filter((entry) => entry.isDirectory() && entry.name !== 'node_modules' && !entry.name.startsWith('.'))
    .map((entry) => pluginFolders(path.join(folder, entry.name), levels - 1));
  return (await Promise.all(below)).flat().sort();
}

/**
 * The plugins that a kernel would load.
 *
 * @param given - Folders an operator named; those that come with Lamella when left out.
 * @param fromSource - See {@link bundledPlugins}.
 */
export async function directoriesOf(
  given: readonly string[] | undefined,
  fromSource = false,
): Promise<string[]> {
  if (given === undefined) return bundledPlugins({ fromSource });
  return (await Promise.all(given.map((folder) => pluginFolders(path.resolve(folder))))).flat();
}

async function exists(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}
