import { createRequire } from 'node:module';
import path from 'node:path';

/** Root of the installed package, wherever this module was bundled to. */
export const PACKAGE_DIRECTORY: string = path.dirname(
  createRequire(import.meta.url).resolve('lamella/package.json'),
);

/** A program of the package that runs in a process or thread of its own; see `scripts/build-programs.ts`. */
export function programFile(name: 'lamella' | 'runner' | 'worker' | 'watcher' | 'ort-child'): string {
  return path.join(PACKAGE_DIRECTORY, 'dist', 'bin', `${name}.js`);
}
