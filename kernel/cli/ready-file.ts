import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import type { KernelAddresses } from '../kernel.ts';

/**
 * A file that appears when everything asked for is serving, for scripts that wait for it.
 *
 * @remarks It is renamed into place, so that nobody reads half of it, and removed when the kernel stops.
 */
export class ReadyFile {
  readonly #file: string | undefined;

  constructor(file: string | undefined) {
    this.#file = file;
  }

  /** Removes the file of a kernel that was killed: it would say "ready" too early. One that runs keeps its file. */
  async clearStale(): Promise<void> {
    if (this.#file === undefined) return;
    const text = await readFile(this.#file, 'utf8').catch(() => '');
    const pid = /"pid":(\d+)/.exec(text)?.[1];
    if (pid === undefined || !isRunning(Number(pid))) await this.clear();
  }

  /** Removes the file. */
  async clear(): Promise<void> {
    if (this.#file !== undefined) await rm(this.#file, { force: true });
  }

  /** Writes the addresses and the process id. */
  async write({ grpc, http, metrics }: Omit<KernelAddresses, 'isTls'>): Promise<void> {
    if (this.#file === undefined) return;
    const temporary = `${this.#file}.${process.pid}.tmp`;
    await writeFile(temporary, `${JSON.stringify({ grpc, http, metrics, pid: process.pid })}\n`);
    await rename(temporary, this.#file);
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
