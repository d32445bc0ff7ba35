import assert from 'node:assert/strict';
import { open } from 'node:fs/promises';

/** Takes what room is left on a disk, to the last byte, with a file that can be removed afterwards. */
export async function fillDisk(filler: string): Promise<void> {
  const file = await open(filler, 'a');
  try {
    for (let sizeBytes = 1 << 20; sizeBytes >= 1;) {
      try {
        await file.write(Buffer.alloc(sizeBytes));
      } catch (error) {
        assert.equal((error as NodeJS.ErrnoException).code, 'ENOSPC');
        sizeBytes >>= 1;
      }
    }
  } finally {
    await file.close();
  }
}
