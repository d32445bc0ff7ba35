import type { Generation } from './generation.ts';

/** Memory that a version kept in reserve is taken to need when its manifest does not say, in MiB. */
const RESERVE_MIB = 256;

/** Tells whether the machine has room to keep a replaced version at hand. */
export function hasMemoryFor({ manifest }: Generation): boolean {
  const neededMib = manifest.resources?.memoryMib ?? 0;
  return process.availableMemory() > (neededMib === 0 ? RESERVE_MIB : neededMib) * 2 ** 20;
}
