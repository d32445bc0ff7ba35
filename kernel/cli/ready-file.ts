import { rename, rm, writeFile } from 'node:fs/promises';
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

  /** Removes what an earlier run left: it would say "ready" too early. */
  async clear(): Promise<void> {
    if (this.#file !== undefined) await rm(this.#file, { force: true });
  }

  /** Writes the addresses and the process id. */
  async write({ grpc, http, metrics }: KernelAddresses): Promise<void> {
    if (this.#file === undefined) return;
    const temporary = `${this.#file}.${process.pid}.tmp`;
    await writeFile(temporary, `${JSON.stringify({ grpc, http, metrics, pid: process.pid })}\n`);
    await rename(temporary, this.#file);
  }
}
