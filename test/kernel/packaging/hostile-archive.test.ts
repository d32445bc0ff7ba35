import assert from 'node:assert/strict';
import { mkdir, rm } from 'node:fs/promises';
import { createHash } from 'node:crypto';
import { deflateRawSync, gzipSync } from 'node:zlib';
import { extractArchive } from '../../../kernel/packaging/archive-reader.ts';
import { openPackage } from '../../../kernel/packaging/pack.ts';
import { type Entry, manifestText, Sandbox, tarOf } from './archives.ts';

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

/** `digests.json` for files with content, as an author would write it, or worse. */
function digests(files: Readonly<Record<string, string>>, change: object = {}): Entry {
  const list = Object.entries(files).map(([path, content]) => [
    path,
    { sha256: sha256(content), size: Buffer.byteLength(content), executable: false },
  ]);
  const json = {
    format: 'lamella-plugin-digests/1',
    id: 'test.hello',
    version: '1.0.0',
    files: { ...Object.fromEntries(list), ...change },
  };
  return { path: 'package/digests.json', content: JSON.stringify(json) };
}

describe('a hostile archive', () => {
  let sandbox: Sandbox;
  beforeEach(async () => {
    sandbox = await Sandbox.create();
  });
  afterEach(() => sandbox.remove());

  async function refused(file: string, problem: RegExp): Promise<void> {
    await rm(sandbox.path('inside'), { recursive: true, force: true });
    await mkdir(sandbox.path('inside'));
    const before = await sandbox.everything();
    await assert.rejects(extractArchive(file, sandbox.path('inside')), (error: Error) => {
      assert.equal(error.name, 'PACKAGE_INVALID', error.stack);
      assert.match(error.message, problem);
      return true;
    });
    const after = (await sandbox.everything()).filter((name) => !name.startsWith('inside/'));
    assert.deepEqual(after, before, 'something was written outside of the folder');
  }

  const paths: readonly (readonly [title: string, path: string, problem: RegExp])[] = [
    ['climbs out of its folder', 'package/../../outside', /leads outside/],
    ['climbs out in the middle', 'package/a/../../../outside', /leads outside/],
    ['is absolute', '/tmp/lamella-outside', /absolute/],
    ['is absolute within the root', 'package//etc/passwd', /absolute/],
    ['has a drive', 'package/C:/outside', /character/],
    ['is not below the root', 'other/file', /below 'package\/'/],
    ['names a device of Windows', 'package/aux.txt', /device on Windows/],
    ['ends with a dot', 'package/plugin.json.', /ends with/],
    ['holds a control character', 'package/a\u001B[2Jb', /character/],
    ['hides its direction', 'package/a\u202Egnp.exe', /character/],
    ['is not composed', 'package/e\u0301', /NFC/],
    ['is huge', `package/${'a'.repeat(5_000)}`, /longer than/],
    ['is deep', `package/${'a/'.repeat(40)}b`, /folders deep/],
  ];
  for (const [title, path, problem] of paths) {
    it(`is refused when a path ${title}`, async () => {
      await refused(await sandbox.gzipped([{ path, content: 'x' }]), problem);
    });
  }

  it('is refused when a path has backslashes, whatever the system takes them for', async () => {
    const bytes = tarOf([{ path: 'package/a..b..outside', content: 'x' }]);
    // Header.encode would turn backslashes into slashes on some systems.
    const at = bytes.indexOf('a..b..outside');
    bytes.write('..\\..\\outside', at);
    fixChecksum(bytes);
    await refused(await sandbox.archive(gzipSync(bytes)), /character/);
  });

  it('is refused when a name is GBK and not UTF-8', async () => {
    const bytes = tarOf([{ path: 'package/xxxx.py', content: 'x' }]);
    Buffer.from([0xb2, 0xe5, 0xbc, 0xfe]).copy(bytes, bytes.indexOf('xxxx'));
    fixChecksum(bytes);
    await refused(await sandbox.archive(gzipSync(bytes)), /no UTF-8/);
  });

  for (const type of ['Link', 'SymbolicLink', 'CharacterDevice', 'BlockDevice', 'FIFO'] as const) {
    it(`is refused when it holds a ${type}`, async () => {
      const linkpath = type.endsWith('Link') ? '/etc/passwd' : '';
      await refused(
        await sandbox.gzipped([{ path: 'package/entry', type, linkpath }]),
        /holds plain files only/,
      );
    });
  }

  it('is refused when it holds a kind of entry that we do not know', async () => {
    const bytes = tarOf([{ path: 'package/entry', content: 'x' }]);
    bytes.write('Z', 156);
    fixChecksum(bytes);
    await refused(await sandbox.archive(gzipSync(bytes)), /unknown/);
  });

  it('is refused when two paths differ in case only', async () => {
    await refused(
      await sandbox.gzipped([{ path: 'package/Readme' }, { path: 'package/README' }]),
      /differs from 'Readme' in case only/,
    );
    await refused(
      await sandbox.gzipped([{ path: 'package/lib/a' }, { path: 'package/LIB/b' }]),
      /differs from 'lib' in case only|EEXIST/,
    );
  });

  it('is refused when a path is there twice', async () => {
    await refused(
      await sandbox.gzipped([
        { path: 'package/a', content: 'good' },
        { path: 'package/a', content: 'bad' },
      ]),
      /there twice/,
    );
  });

  it('is refused when a file is used as a folder', async () => {
    await refused(
      await sandbox.gzipped([
        { path: 'package/a', content: 'x' },
        { path: 'package/a/b', content: 'x' },
      ]),
      /file and a folder/,
    );
  });

  it('is refused when it unpacks to many times its size', async () => {
    await refused(
      await sandbox.gzipped([{ path: 'package/zeros', content: Buffer.alloc(32 * 1024 * 1024) }]),
      /200 times its size/,
    );
  });

  it('is refused when it holds too many entries', async () => {
    const folder = (index: number): Entry => ({ path: `package/${index}/`, type: 'Directory' });
    const entries = Array.from({ length: 10_001 }, (_, index) => folder(index));
    await refused(await sandbox.gzipped(entries), /more than 10000 files/);
  });

  it('is refused when it is compressed twice', async () => {
    await refused(
      await sandbox.archive(gzipSync(gzipSync(tarOf([{ path: 'package/a' }])))),
      /compressed twice/,
    );
  });

  it('is refused wherever it is cut off', async () => {
    const tar = tarOf([{ path: 'package/a', content: 'x'.repeat(3_000) }]);
    const whole = gzipSync(tar);
    for (const length of [1, 9, 20, whole.length - 9, whole.length - 1]) {
      await refused(await sandbox.archive(whole.subarray(0, length)), /cut off|gzip/);
    }
    for (const length of [100, 512, 1_024, 3_000]) {
      await refused(await sandbox.archive(gzipSync(tar.subarray(0, length))), /cut off|no tar archive/);
    }
  });

  it('is refused when it is empty, no gzip, no tar, or not there', async () => {
    await refused(await sandbox.archive(Buffer.alloc(0)), /gzip|empty|cut off|no tar archive/);
    await refused(await sandbox.archive(Buffer.from('PK\u0003\u0004 this is a zip')), /not a gzip file/);
    await refused(await sandbox.archive(deflateRawSync('raw')), /not a gzip file/);
    await refused(await sandbox.archive(gzipSync('a'.repeat(2_000))), /no tar archive/);
    await refused(await sandbox.archive(gzipSync(Buffer.alloc(10_240))), /empty|no tar archive/);
    await refused(sandbox.path('nothing.tgz'), /no such file/);
    await refused(sandbox.path('.'), /not a file/);
  });

  it('is refused when a header claims more than there is', async () => {
    await refused(await sandbox.gzipped([{ path: 'package/a', content: 'x', size: 1_000_000 }]), /cut off/);
  });

  it('is refused when a byte of a header is wrong', async () => {
    const bytes = tarOf([{ path: 'package/a', content: 'x' }]);
    bytes[0] = 0x71;
    await refused(await sandbox.archive(gzipSync(bytes)), /damaged/);
  });
});

describe('a package that is not what its digests say', () => {
  let sandbox: Sandbox;
  const manifest: Entry = { path: 'package/plugin.json', content: manifestText() };
  const sound = { 'plugin.json': manifestText(), 'run.sh': '#!/bin/sh\n' };
  const run: Entry = { path: 'package/run.sh', content: '#!/bin/sh\n' };
  beforeEach(async () => {
    sandbox = await Sandbox.create();
  });
  afterEach(() => sandbox.remove());

  async function open(entries: readonly Entry[]): Promise<string> {
    return openPackage(await sandbox.gzipped(entries), async (_, { manifest: { id } }) => id);
  }
  async function refused(entries: readonly Entry[], problem: RegExp): Promise<void> {
    await assert.rejects(open(entries), (error: Error) => {
      assert.equal(error.name, 'PACKAGE_INVALID', error.stack);
      assert.match(error.message, problem);
      return true;
    });
  }

  it('is opened when everything fits', async () => {
    assert.equal(await open([digests(sound), manifest, run]), 'test.hello');
  });

  it('is refused with what does not fit', async () => {
    await refused([manifest, run], /has no digests\.json/);
    await refused([digests(sound), manifest], /'run\.sh' is missing/);
    await refused([digests(sound), manifest, run, { path: 'package/extra' }], /'extra' is not listed/);
    await refused([digests(sound), manifest, { ...run, content: '#!/bin/zh\n' }], /'run\.sh' was changed/);
    await refused([digests(sound), manifest, { ...run, mode: 0o755 }], /was made executable/);
    await refused([digests({ ...sound, '../x': '' }), manifest, run], /leads outside/);
    await refused([digests(sound, { 'run.sh': 7 }), manifest, run], /not the object/);
    await refused([digests(sound, { 'run.sh': { sha256: 'x' } }), manifest, run], /no SHA-256/);
    await refused([{ path: 'package/digests.json', content: '{' }, manifest], /not JSON/);
    await refused([{ path: 'package/digests.json', content: '{"format":"2"}' }, manifest], /newer lamella/);
    await refused(
      [
        digests({ ...sound, 'plugin.json': manifestText('2.0.0') }),
        { ...manifest, content: manifestText('2.0.0') },
        run,
      ],
      /plugin\.json is test\.hello 2\.0\.0/,
    );
  });

  it('is refused when its signature is garbage', async () => {
    const signature = (content: string): Entry => ({ path: 'package/signature.json', content });
    await refused([digests(sound), manifest, run, signature('{')], /not a signature/);
    await refused([digests(sound), manifest, run, signature('x'.repeat(5_000))], /larger than/);
    const key = `ed25519:${Buffer.alloc(32).toString('base64')}`;
    const forged = JSON.stringify({
      algorithm: 'ed25519',
      key,
      signature: Buffer.alloc(64).toString('base64'),
    });
    await refused([digests(sound), manifest, run, signature(forged)], /signature does not fit/);
  });
});

/** Sum of the first header's bytes, with its own field as spaces. */
function fixChecksum(bytes: Buffer): void {
  bytes.fill(0x20, 148, 156);
  const sum = bytes.subarray(0, 512).reduce((total, byte) => total + byte, 0);
  bytes.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
}
