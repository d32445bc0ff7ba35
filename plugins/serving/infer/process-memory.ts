import { readFile } from 'node:fs/promises';
import type { MemoryUse } from './statistics.ts';

/** Memory of processes that is theirs alone, by what Linux tells; `undefined` on other systems and without processes. */
export async function processMemory(pids: readonly number[]): Promise<MemoryUse | undefined> {
  if (pids.length === 0) return undefined;
  const sizes = await Promise.all(
    pids.map(async (pid) => {
      const text = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
      // Pages of the program and of its libraries are shared by all processes.
      const [, kib] = /^RssAnon:\s+([0-9]+) kB$/m.exec(text) ?? [];
      return kib === undefined ? undefined : Number(kib) * 1_024;
    }),
  );
  const known = sizes.filter((size) => size !== undefined);
  return known.length === 0 ? undefined : { sizeBytes: known.reduce((sum, size) => sum + size, 0) };
}
