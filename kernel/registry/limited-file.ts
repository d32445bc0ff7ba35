import { constants } from 'node:fs';
import { open } from 'node:fs/promises';

/**
 * Reads a text file that somebody else wrote: one byte more than allowed at the most, whatever the file claims to be.
 *
 * @throws Error if it is not a file or cannot be read.
 */
export async function readLimitedFile(file: string, limitBytes: number): Promise<string> {
  // Without O_NONBLOCK the opening of a named pipe would wait for its writer.
  const handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const stat = await handle.stat();
    if (!stat.isFile()) throw new Error('it is not a file');
    const buffer = Buffer.alloc(Math.min(limitBytes + 1, stat.size));
    let size = 0;
    for (;;) {
      const { bytesRead } = await handle.read(buffer, size, buffer.length - size);
      size += bytesRead;
      if (bytesRead === 0 || size === buffer.length) return buffer.toString('utf8', 0, size);
    }
  } finally {
    await handle.close();
  }
}
