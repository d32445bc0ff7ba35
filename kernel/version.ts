import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

/** Version of the package, which is the version of the kernel: there is only one. */
export const KERNEL_VERSION: string = readVersion();

function readVersion(): string {
  const file = createRequire(import.meta.url).resolve('lamella/package.json');
  const { version } = JSON.parse(readFileSync(file, 'utf8')) as { version: string };
  return version;
}
