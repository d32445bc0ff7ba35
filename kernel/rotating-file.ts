import { appendFile, rename, rm, stat, truncate } from 'node:fs/promises';
import path from 'node:path';

/** Older files kept beside the present one. */
const OLD_FILES = 4;

/** A file that is begun anew at a size; four older ones are kept as `name.1.ext` to `name.4.ext`. */
export class RotatingFile {
  readonly path: string;
  readonly #limitBytes: number;
  #sizeBytes: number | undefined;

  constructor(file: string, limitBytes: number) {
    this.path = file;
    this.#limitBytes = limitBytes;
  }

  /**
   * Adds whole lines: all of them or, on a disk that is full, none. One append at a time: the caller waits for the one
   * before.
   *
   * @throws what the file system says.
   */
  async append(text: string): Promise<void> {
    const bytes = Buffer.byteLength(text);
    try {
      this.#sizeBytes ??= await sizeOf(this.path);
      if (this.#sizeBytes > 0 && this.#sizeBytes + bytes > this.#limitBytes) await this.#rotate();
      await appendFile(this.path, text, { mode: 0o600 });
      this.#sizeBytes += bytes;
    } catch (error) {
      // Half a line would spoil the next one.
      if (this.#sizeBytes !== undefined) await truncate(this.path, this.#sizeBytes).catch(() => undefined);
      this.#sizeBytes = undefined;
      throw error;
    }
  }

  async #rotate(): Promise<void> {
    await rm(this.#old(OLD_FILES), { force: true });
    for (let number = OLD_FILES - 1; number >= 1; number -= 1) {
      await rename(this.#old(number), this.#old(number + 1)).catch(() => undefined);
    }
    await rename(this.path, this.#old(1));
    this.#sizeBytes = 0;
  }

  #old(number: number): string {
    const { dir, name, ext } = path.parse(this.path);
    return path.join(dir, `${name}.${number}${ext}`);
  }
}

async function sizeOf(file: string): Promise<number> {
  return stat(file).then(
    ({ size }) => size,
    () => 0,
  );
}
