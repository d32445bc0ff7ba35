import { realpathSync } from 'node:fs';
import path from 'node:path';
import { PACKAGE_DIRECTORY } from '../../sdk/package-directory.ts';

/** Folders of Lamella's package whose plugins come with it. */
export const OWN_FOLDERS: readonly string[] = ['plugins', 'dist/plugins', 'examples'].map((name) =>
  path.join(PACKAGE_DIRECTORY, name),
);

/** Tells whether a plugin comes with Lamella. A link in one of its folders leads to what does not. */
export function isOwnPlugin(directory: string): boolean {
  return OWN_FOLDERS.some((folder) => realPath(directory).startsWith(realPath(folder) + path.sep));
}

/** Where a path leads; what is not there leads to itself. */
export function realPath(place: string): string {
  try {
    return realpathSync(place);
  } catch {
    return path.resolve(place);
  }
}
