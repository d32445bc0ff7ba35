import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmod, cp, mkdir, readdir, readFile, symlink, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { pack, signPackage, openPackage } from '../../../kernel/packaging/pack.ts';
import { isPackage, readPackage } from '../../../kernel/packaging/package-folder.ts';
import { generateKeys, keyName } from '../../../kernel/packaging/signature.ts';
import { ROOT } from '../../support/echo-plugin.ts';
import { manifestText, Sandbox } from './archives.ts';

describe('packing a plugin', () => {
  let sandbox: Sandbox;
  let folder: string;
  let file: string;
  const keys = generateKeys();
  const key = { pem: keys.privatePem, file: 'test.key' };

  beforeEach(async () => {
    sandbox = await Sandbox.create();
    folder = sandbox.path('plugin');
    file = sandbox.path('out.tgz');
    await mkdir(folder);
  });
  afterEach(() => sandbox.remove());

  async function write(name: string, content: string): Promise<void> {
    await mkdir(path.dirname(path.join(folder, name)), { recursive: true });
    await writeFile(path.join(folder, name), content);
  }
  async function commandPlugin(): Promise<void> {
    await write('plugin.json', manifestText());
    await write('run.sh', '#!/bin/sh\n');
    await chmod(path.join(folder, 'run.sh'), 0o755);
  }
  async function filesIn(archive: string): Promise<string[]> {
    return openPackage(archive, async (directory) => {
      const entries = await readdir(directory, { recursive: true, withFileTypes: true });
      const files = entries.filter((entry) => entry.isFile());
      return files
        .map((entry) => path.relative(directory, path.join(entry.parentPath, entry.name)))
        .toSorted();
    });
  }

  it('bundles a TypeScript plugin, so that nothing is compiled where it is installed', async () => {
    await cp(path.join(ROOT, 'examples/echo'), folder, { recursive: true });
    const packed = await pack(folder, { file });
    assert.equal(packed.manifest.entry?.module, 'plugin.cjs');
    assert.equal(packed.signer, undefined);
    assert.deepEqual(await filesIn(file), ['digests.json', 'plugin.cjs', 'plugin.json']);
    const code = await openPackage(file, (directory) => readFile(path.join(directory, 'plugin.cjs'), 'utf8'));
    assert.match(code, /require\("lamella\/sdk"\)/);
  });

  it('takes the files of a program, but no secrets, caches and foreign code', async () => {
    await commandPlugin();
    for (const name of ['lib/a.py', 'README.md', 'node_modules/x/index.js', '.env', '.git/config']) {
      await write(name, 'x');
    }
    for (const name of ['lib/__pycache__/a.pyc', 'signing.key', 'old.lamella-plugin.tgz'])
      await write(name, 'x');
    await pack(folder, { file });
    const expected = ['README.md', 'digests.json', 'lib/a.py', 'plugin.json', 'run.sh'];
    assert.deepEqual(await filesIn(file), expected);
  });

  it('takes only what plugin.json lists, where it lists something', async () => {
    await commandPlugin();
    await write('plugin.json', JSON.stringify({ ...JSON.parse(manifestText()), files: ['lib/', 'ca.pem'] }));
    for (const name of ['lib/a.py', 'lib/deep/b.py', 'ca.pem', 'notes.txt']) await write(name, 'x');
    await pack(folder, { file });
    const expected = ['ca.pem', 'digests.json', 'lib/a.py', 'lib/deep/b.py', 'plugin.json', 'run.sh'];
    assert.deepEqual(await filesIn(file), expected);
  });

  it('gives the same bytes for the same files, whatever their times and rights', async () => {
    await commandPlugin();
    await write(`lib/${'long-name-'.repeat(14)}.txt`, 'a name that needs an extended header');
    await write('lib/@at.txt', 'not an archive');
    await pack(folder, { file, key });
    const first = await readFile(file);
    await chmod(path.join(folder, 'plugin.json'), 0o600);
    await utimes(path.join(folder, 'run.sh'), new Date(), new Date());
    await pack(folder, { file, key });
    assert.ok(first.equals(await readFile(file)));
  });

  it('gives the same bundle wherever the source lies', async () => {
    const packed: Buffer[] = [];
    for (const name of ['one', 'another/place']) {
      await cp(path.join(ROOT, 'examples/echo'), sandbox.path(name), { recursive: true });
      await pack(sandbox.path(name), { file });
      packed.push(await readFile(file));
    }
    assert.ok(packed[0]?.equals(packed[1] ?? Buffer.alloc(0)));
  });

  it('is read by other programs', async () => {
    await commandPlugin();
    await pack(folder, { file, key });
    const listed = execFileSync('tar', ['-tzf', file], { encoding: 'utf8' }).trim().split('\n');
    assert.deepEqual(listed, [
      'package/digests.json',
      'package/signature.json',
      'package/plugin.json',
      'package/run.sh',
    ]);
  });

  it('says what keeps a folder from being packed', async () => {
    await assert.rejects(pack(folder, { file }), { name: 'MANIFEST_INVALID' });
    await commandPlugin();
    await write('plugin.json', JSON.stringify({ ...JSON.parse(manifestText()), files: ['nothing'] }));
    await assert.rejects(pack(folder, { file }), /'nothing' is listed in plugin\.json and not there/);
    await write('plugin.json', manifestText());
    await symlink('/etc/passwd', path.join(folder, 'link'));
    await assert.rejects(pack(folder, { file }), /'link' is a symbolic link/);
    await assert.rejects(pack(folder, { file: '/nowhere/at/all.tgz' }), { name: 'PACK_FAILED' });
  });

  it('refuses a list that leads outside', async () => {
    await commandPlugin();
    await write('plugin.json', JSON.stringify({ ...JSON.parse(manifestText()), files: ['../secret'] }));
    await assert.rejects(pack(folder, { file }), { name: 'MANIFEST_INVALID' });
    await symlink('/etc', path.join(folder, 'lib'));
    await write('plugin.json', JSON.stringify({ ...JSON.parse(manifestText()), files: ['lib/passwd'] }));
    await assert.rejects(pack(folder, { file }), /'lib' is a symbolic link/);
  });

  describe('and signing it', () => {
    beforeEach(commandPlugin);

    it('names the key in the package', async () => {
      assert.equal((await pack(folder, { file, key })).signer, keys.name);
      assert.equal(keyName(keys.publicPem, 'x'), keys.name);
      assert.equal(keyName(keys.privatePem, 'x'), keys.name);
    });

    it('can be done later, and changes nothing else', async () => {
      const unsigned = await pack(folder, { file });
      const signed = await signPackage(file, key);
      assert.equal(signed.digest, unsigned.digest);
      assert.equal(signed.signer, keys.name);
      await openPackage(file, async (_, { signer }) => assert.equal(signer, keys.name));
      const together = sandbox.path('together.tgz');
      await pack(folder, { file: together, key });
      assert.ok((await readFile(together)).equals(await readFile(file)));
    });

    it('works on a folder, and breaks when a file is changed', async () => {
      assert.equal(await isPackage(folder), false);
      await signPackage(folder, key);
      assert.equal(await isPackage(folder), true);
      assert.equal((await readPackage(folder)).signer, keys.name);
      await write('run.sh', '#!/bin/zh\n');
      await assert.rejects(readPackage(folder), /'run\.sh' was changed/);
      await signPackage(folder, key);
      await symlink('run.sh', path.join(folder, 'link'));
      await assert.rejects(readPackage(folder), /'link' is a symbolic link/);
    });

    it('is not fooled by digests that were changed after signing', async () => {
      await signPackage(folder, key);
      const digests = path.join(folder, 'digests.json');
      await writeFile(digests, `${await readFile(digests, 'utf8')} `);
      await assert.rejects(readPackage(folder), /signature does not fit/);
    });

    it('can be checked with openssl', async () => {
      await signPackage(folder, key);
      const { signature } = JSON.parse(await readFile(path.join(folder, 'signature.json'), 'utf8')) as {
        signature: string;
      };
      await writeFile(sandbox.path('sig'), Buffer.from(signature, 'base64'));
      await writeFile(sandbox.path('pub.pem'), keys.publicPem);
      const words = ['pkeyutl', '-verify', '-pubin', '-inkey', sandbox.path('pub.pem'), '-rawin'];
      const files = ['-in', path.join(folder, 'digests.json'), '-sigfile', sandbox.path('sig')];
      assert.match(execFileSync('openssl', [...words, ...files], { encoding: 'utf8' }), /Success/);
    });

    it('refuses keys of other kinds', async () => {
      const other = execFileSync('openssl', ['genpkey', '-algorithm', 'x25519'], { encoding: 'utf8' });
      await assert.rejects(
        pack(folder, { file, key: { pem: other, file: 'x.key' } }),
        /x\.key .* x25519, not Ed25519/,
      );
      await assert.rejects(pack(folder, { file, key: { pem: 'text', file: 'x.key' } }), {
        name: 'KEY_INVALID',
      });
    });
  });
});
