import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { isDeclaredError } from '../../sdk/index.ts';
import { LmdbStorage } from '../../kernel/storage.ts';

describe('storage', () => {
  let directory: string;

  beforeEach(async () => {
    directory = await mkdtemp(path.join(tmpdir(), 'lamella-storage-'));
  });

  afterEach(async () => rm(directory, { recursive: true, force: true }));

  it('ends the writes that are under way before it closes', async () => {
    const storage = new LmdbStorage(directory);
    const writes = Array.from({ length: 50 }, (_, index) => storage.put(`key/${index}`, index));
    await storage.close();
    await Promise.all(writes);
    const again = new LmdbStorage(directory);
    assert.equal(await again.get('key/49'), 49);
    await again.close();
  });

  it('may be closed right after it was read', async () => {
    const storage = new LmdbStorage(directory);
    await storage.put('key', 1);
    // Later, when no commit resets the read transaction any more.
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
    assert.equal(await storage.get('key'), 1);
    await storage.close();
    // A timer of lmdb that throws would end the run here.
    await new Promise((resolve) => {
      setTimeout(resolve, 5);
    });
  });

  it('takes nothing more when it is closed, and says so', async () => {
    const storage = new LmdbStorage(directory);
    await storage.put('key', 1);
    await storage.close();
    await assert.rejects(
      storage.put('key', 2),
      (error) =>
        isDeclaredError(error) && error.reason === 'STORAGE_FAILED' && error.message.includes('closed'),
    );
  });
});
