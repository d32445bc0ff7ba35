import { existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * Root of the installed package, wherever this module was bundled to: the folder with the nearest `package.json`.
 *
 * @remarks Node would resolve the name of the package itself, but not in a process that may read only parts of it.
 */
export const PACKAGE_DIRECTORY: string = nearestPackage(path.dirname(fileURLToPath(import.meta.url)));

function nearestPackage(directory: string): string {
  if (existsSync(path.join(directory, 'package.json'))) return directory;
  const parent = path.dirname(directory);
  if (parent === directory) throw new Error('Lamella does not find its package.json; install it again.');
  return nearestPackage(parent);
}

/** A program of the package that runs in a process or thread of its own; see `scripts/build-programs.ts`. */
export function programFile(name: ProgramName): string {
  const ending = name === 'runner' || name === 'worker' ? 'cjs' : 'js';
  return path.join(PACKAGE_DIRECTORY, 'dist', 'bin', `${name}.${ending}`);
}

type ProgramName = 'runner' | 'worker' | 'watcher' | 'ort-child';
