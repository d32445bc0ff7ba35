import { readFile } from 'node:fs/promises';

/** Pause between two looks, in milliseconds. */
const LOOK_MS = 1_000;

const MIB = 2 ** 20;

/** Memory that Node itself takes before a plugin has any, in MiB. */
const NODE_MIB = 64;

/** Input of {@link watchMemory}. */
export interface MemoryWatch {
  readonly limitMib: number;
  /** Bytes in use; `undefined` where that cannot be known. */
  readonly read: () => Promise<number | undefined>;
  /** Called once, with a phrase for people. */
  readonly onOver: (how: string) => void;
}

/** Looks at the memory of an instance every second. @returns a function that ends it. */
export function watchMemory({ limitMib, read, onOver }: MemoryWatch): () => void {
  if (limitMib === 0) return () => undefined;
  let isLooking = false;
  const look = async (): Promise<void> => {
    if (isLooking) return;
    isLooking = true;
    const usedMib = Math.ceil(((await read().catch(() => undefined)) ?? 0) / MIB);
    isLooking = false;
    if (usedMib <= limitMib) return;
    clearInterval(timer);
    onOver(`out of memory: it used ${usedMib} MiB, its limit resources.memoryMib is ${limitMib}`);
  };
  const timer = setInterval(() => void look(), LOOK_MS).unref();
  return () => clearInterval(timer);
}

/**
 * Memory of a process that no file backs, without what Node itself needs. Linux only.
 *
 * @remarks Mapped files are left out: lmdb maps whole databases, and the system takes those pages back when it likes.
 */
export async function processBytes(pid: number): Promise<number | undefined> {
  const text = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  const kib = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(text)?.[1] ?? 0);
  const bytes = (kib('RssAnon') + kib('RssShmem')) * 1024;
  return bytes === 0 ? undefined : Math.max(0, bytes - NODE_MIB * MIB);
}
