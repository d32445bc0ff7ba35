import assert from 'node:assert/strict';
import path from 'node:path';
import { CodeStore } from '../../../kernel/loader/code-store.ts';
import { readManifest } from '../../../kernel/registry/manifest.ts';
import { copyEcho, type EchoPlugin } from '../../support/echo-plugin.ts';

describe('the code of a version', () => {
  let plugin: EchoPlugin;

  beforeEach(async () => {
    plugin = await copyEcho();
  });

  afterEach(() => plugin.remove());

  it('is kept from when it is read, though what is in service is written down before it is', async () => {
    const { directory } = plugin;
    const store = new CodeStore(path.join(directory, '../objects'));
    const version = { manifest: await readManifest(directory), directory, level: undefined };
    const { digest } = await store.read({ ...version, digest: undefined });
    await store.prune(version.manifest.id, new Set());
    await plugin.replaceCode('return {\n', `throw new Error('changed');\n  return {\n`);
    assert.equal((await store.read({ ...version, digest })).digest, digest);
    await store.forget(version.manifest.id);
    await assert.rejects(store.read({ ...version, digest }), { reason: 'PLUGIN_CODE_CHANGED' });
  });
});
