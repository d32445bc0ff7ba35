import { readFileSync } from 'node:fs';
import path from 'node:path';
import { PACKAGE_DIRECTORY } from '../sdk/package-directory.ts';

/** Version of the package, which is the version of the kernel: there is only one. */
export const KERNEL_VERSION: string = readVersion();

function readVersion(): string {
  const text = readFileSync(path.join(PACKAGE_DIRECTORY, 'package.json'), 'utf8');
  const { version } = JSON.parse(text) as { version: string };
  return version;
}
