import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { bundledPlugins, pluginFolders } from '../../kernel/cli/plugin-folders.ts';
import { ReadyFile } from '../../kernel/cli/ready-file.ts';

describe('files that lamella start reads and writes', () => {
  let folder = '';
  const addresses = { grpc: '127.0.0.1:1', http: '127.0.0.1:2', metrics: '127.0.0.1:3' };

  beforeEach(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'lamella-test-'));
  });

  afterEach(async () => {
    await rm(folder, { recursive: true, force: true });
  });

  it('writes the ready file whole, with nothing left beside it', async () => {
    const file = path.join(folder, 'ready.json');
    await new ReadyFile(file).write(addresses);
    assert.deepEqual(JSON.parse(await readFile(file, 'utf8')), { ...addresses, pid: process.pid });
    assert.deepEqual(await readdir(folder), ['ready.json']);
  });

  it('removes the ready file of a kernel that is gone, and keeps that of one that runs', async () => {
    const file = path.join(folder, 'ready.json');
    const readyFile = new ReadyFile(file);
    await readyFile.write(addresses);
    await readyFile.clearStale();
    assert.equal(existsSync(file), true);
    // No process can have a number above the kernel's own limit of 2^22.
    await writeFile(file, '{"grpc":"","pid":4194305}');
    await readyFile.clearStale();
    assert.equal(existsSync(file), false);
    await writeFile(file, 'not JSON');
    await readyFile.clearStale();
    assert.equal(existsSync(file), false);
  });

  it('writes nothing when no ready file was asked for', async () => {
    const readyFile = new ReadyFile(undefined);
    await readyFile.clearStale();
    await readyFile.write(addresses);
    await readyFile.clear();
    assert.deepEqual(await readdir(folder), []);
  });

  it('finds a plugin in the folder itself and plugins below it, but not in node_modules or hidden folders', async () => {
    const plugins = ['data/store', 'app/console', 'node_modules/other', '.cache/old', 'a/b/c/too-deep'];
    for (const plugin of plugins) {
      await mkdir(path.join(folder, plugin), { recursive: true });
      await writeFile(path.join(folder, plugin, 'plugin.json'), '{}');
    }
    const store = path.join(folder, 'data', 'store');
    assert.deepEqual(await pluginFolders(store), [store]);
    assert.deepEqual(await pluginFolders(folder), [path.join(folder, 'app', 'console'), store]);
    await assert.rejects(pluginFolders(path.join(folder, 'none')), /cannot be read; give one that exists/);
  });

  it('finds the same plugins built and in source', async () => {
    const names = (folders: readonly string[]): string[] =>
      folders.map((name) => name.split(path.sep).slice(-2).join('/'));
    const built = names(await bundledPlugins({ fromSource: false }));
    assert.ok(built.includes('data/store'));
    assert.deepEqual(built, names(await bundledPlugins({ fromSource: true })));
  });
});
