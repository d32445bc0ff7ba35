import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { ROOT } from './run-command.ts';

/** Folders that hold our TypeScript. */
export const SOURCE_FOLDERS: readonly string[] = [
  'kernel',
  'sdk',
  'proto/gen',
  'plugins',
  'examples',
  'scripts',
  'test',
  'benchmarks',
];

/** Lists files below a folder of the repository, as paths relative to the root; none if it does not exist. */
export async function filesBelow(folder: string, suffix: string): Promise<string[]> {
  try {
    const entries = await readdir(path.join(ROOT, folder), { recursive: true, withFileTypes: true });
    return entries
      .filter((entry) => entry.isFile() && entry.name.endsWith(suffix))
      .map((entry) => path.relative(ROOT, path.join(entry.parentPath, entry.name)).replaceAll(path.sep, '/'))
      .sort();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

/** All TypeScript sources that belong to the project. */
export async function sourceFiles(): Promise<string[]> {
  const lists = await Promise.all(SOURCE_FOLDERS.map((folder) => filesBelow(folder, '.ts')));
  return lists.flat().filter((file) => !file.startsWith('sdk/templates/') && !file.includes('/public/'));
}
