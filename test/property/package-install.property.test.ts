import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { Installer } from '../../kernel/packaging/installer.ts';
import { Installations } from '../../kernel/packaging/installations.ts';
import { type Installed, LOCK_FILE, readLockFile, writeLockFile } from '../../kernel/packaging/lock-file.ts';
import { TrustStore } from '../../kernel/packaging/trust-store.ts';
import { type Entry, manifestText, Sandbox, tarOf } from '../kernel/packaging/archives.ts';
import { FUZZ_TIMEOUT_MS, fuzzRuns } from '../support/fuzz-runs.ts';

const FILES: Readonly<Record<string, string>> = {
  'plugin.json': manifestText(),
  'run.sh': '#!/bin/sh\n',
  'lib/a.txt': 'a'.repeat(600),
};

const DIGESTS = JSON.stringify({
  format: 'lamella-plugin-digests/1',
  id: 'test.hello',
  version: '1.0.0',
  files: Object.fromEntries(
    Object.entries(FILES).map(([name, content]) => [
      name,
      {
        sha256: createHash('sha256').update(content).digest('hex'),
        size: content.length,
        executable: false,
      },
    ]),
  ),
});

/** A package as it should be. */
const SOUND: readonly Entry[] = Object.entries({ 'digests.json': DIGESTS, ...FILES }).map(
  ([name, content]) => ({ path: `package/${name}`, content }),
);

/** Entries that no package may have, and folders, which any may. */
const foreign: fc.Arbitrary<Entry> = fc.oneof(
  fc.record({
    type: fc.constantFrom('Link' as const, 'SymbolicLink' as const),
    path: fc.constantFrom('package/lib', 'package/link', 'package/run.sh', 'package/lib/a.txt'),
    linkpath: fc.constantFrom('/etc', '..', '../../..', 'package/plugin.json', 'run.sh', '/'),
  }),
  fc.record({
    type: fc.constantFrom('CharacterDevice' as const, 'BlockDevice' as const, 'FIFO' as const),
    path: fc.constantFrom('package/device', 'package/plugin.json'),
  }),
  fc.record({
    path: fc.constantFrom(
      'package/../outside',
      '../outside',
      'package/lib/../../../outside',
      '/tmp/lamella-outside',
      'outside',
      'package/RUN.SH',
      'package/run.sh/below',
      'package/lib',
      'package/extra',
    ),
    content: fc.string({ maxLength: 20 }),
  }),
  fc.record({
    type: fc.constant('Directory' as const),
    path: fc.constantFrom('package/', 'package/lib/', 'package/empty/', 'package/../out/', 'package/run.sh/'),
  }),
  fc.record({
    path: fc.constant('package/run.sh'),
    content: fc.constant('x'),
    size: fc.constantFrom(0, 2, 100_000, 8 ** 11 - 1),
  }),
  // 20 MiB of zeros, above what may unpack to any multiple of its size.
  fc.constant({ path: 'package/zeros', content: Buffer.alloc(20 * 1024 * 1024) }),
);

/** The sound entries in any order, some missing or twice, with others among them. */
const entries: fc.Arbitrary<readonly Entry[]> = fc
  .tuple(
    fc.oneof(
      fc.constant([...SOUND]),
      fc.shuffledSubarray([...SOUND], { minLength: SOUND.length }),
      fc.shuffledSubarray([...SOUND]),
    ),
    fc.array(fc.tuple(fc.nat({ max: 6 }), fc.oneof(foreign, fc.constantFrom(...SOUND))), { maxLength: 2 }),
  )
  .map(([sound, others]) =>
    others.reduce<readonly Entry[]>((all, [at, entry]) => all.toSpliced(at, 0, entry), sound),
  );

/** Where an archive is cut off, as a share of its length, before or after it is compressed; mostly nowhere. */
const cut = fc.option(fc.tuple(fc.boolean(), fc.double({ min: 0, max: 1, noNaN: true })), { freq: 3 });

function archiveOf(parts: readonly Entry[], cutting: readonly [boolean, number] | null): Buffer {
  const [isPacked, share] = cutting ?? [false, 1];
  const whole = tarOf(parts);
  const tar = isPacked ? whole : whole.subarray(0, Math.floor(whole.length * share));
  const packed = gzipSync(tar, { level: 1 });
  return isPacked ? packed.subarray(0, Math.floor(packed.length * share)) : packed;
}

describe('an archive of any entries in any order, whole or cut off', function () {
  this.timeout(FUZZ_TIMEOUT_MS);
  let sandbox: Sandbox;
  let home: string;

  beforeEach(async () => {
    sandbox = await Sandbox.create();
    home = sandbox.path('home');
  });
  afterEach(() => sandbox.remove());

  async function install(archive: string): Promise<Error | undefined> {
    const trust = new TrustStore(home);
    await trust.add(['test.hello']);
    const kernel = {
      load: async () => undefined,
      unload: async () => undefined,
      rollBack: async () => undefined,
    };
    const parts = { home, kernel, trust, environment: process.env, progress: () => undefined };
    return new Installer(parts).install(archive, {}).then(
      () => undefined,
      (error: Error) => error,
    );
  }

  it('is installed with exactly the files of its digests, or refused in words and leaves nothing', async () => {
    let installed = 0;
    await fc.assert(
      fc.asyncProperty(entries, cut, async (parts, cutting) => {
        const archive = await sandbox.archive(archiveOf(parts, cutting));
        const problem = await install(archive);
        const outside = (await sandbox.everything()).filter((name) => !name.startsWith('home'));
        assert.deepEqual(outside, ['archive.tgz']);
        const installations = new Installations(home);
        const present = (await installations.list())['test.hello'];
        if (problem !== undefined) {
          assert.equal(problem.name, 'PACKAGE_INVALID', problem.stack);
          const left = (await sandbox.everything()).filter((name) => name.startsWith('home/installed/'));
          assert.deepEqual([present, left], [undefined, []]);
          return;
        }
        installed += 1;
        assert.ok(present !== undefined);
        const directory = installations.directoryOf('test.hello', present);
        for (const [name, content] of Object.entries(FILES))
          assert.equal(await readFile(path.join(directory, name), 'utf8'), content);
        await rm(home, { recursive: true });
      }),
      { numRuns: fuzzRuns(300) },
    );
    assert.ok(installed > 0, 'none was sound, so that nothing was tried of those that are');
  });
});

describe('a lock file', function () {
  this.timeout(FUZZ_TIMEOUT_MS);
  let sandbox: Sandbox;
  let home: string;

  beforeEach(async () => {
    sandbox = await Sandbox.create();
    home = sandbox.path('home');
    await mkdir(home);
  });
  afterEach(() => sandbox.remove());

  const version = fc.record({
    version: fc.constantFrom('1.0.0', '2.1.3-beta.1+build', '..', '.'),
    source: fc.string(),
    digest: fc.constantFrom('a', '0').map((digit) => `sha256:${digit.repeat(64)}`),
    signer: fc.option(fc.string()),
    installTime: fc.string(),
  });
  const plugin = fc
    .tuple(version, fc.array(version, { maxLength: 3 }))
    .map(([now, previous]) => ({ ...now, previous }));
  const plugins: fc.Arbitrary<Installed> = fc.dictionary(
    fc.constantFrom('test.hello', 'a.b', 'a-1.b-2.c3'),
    plugin,
  );

  async function read(text: string | Uint8Array): Promise<Installed | Error> {
    await writeFile(path.join(home, LOCK_FILE), text);
    return readLockFile(home).catch((error: Error) => error);
  }

  /** What is read leads nowhere but into the folder of what is installed. */
  function assertHarmless(result: Installed | Error): void {
    if (result instanceof Error) {
      assert.equal(result.name, 'LOCK_FILE_INVALID', result.stack);
      return;
    }
    const installations = new Installations(home);
    for (const [id, one] of Object.entries(result)) {
      for (const each of [one, ...one.previous]) {
        const relative = path.relative(installations.root, installations.directoryOf(id, each));
        assert.deepEqual(relative.split(path.sep).length, 2, relative);
        assert.equal(relative.split(path.sep)[0], id);
      }
    }
  }

  it('is read as it was written', async () => {
    await fc.assert(
      fc.asyncProperty(plugins, async (installed) => {
        await writeLockFile(home, installed);
        // fast-check makes objects without a prototype, too; JSON does not.
        assert.deepEqual(await readLockFile(home), JSON.parse(JSON.stringify(installed)));
      }),
      { numRuns: fuzzRuns(100) },
    );
  });

  it('of any bytes or any JSON is refused in words, or names folders below its own only', async () => {
    const hostile = fc.constantFrom('../../etc', '/etc', 'a.b/../..', '__proto__', 'constructor', '', 'A.b');
    const changed = fc
      .tuple(plugins, hostile, fc.oneof(plugin, fc.anything()), fc.constantFrom('id', 'version', 'digest'))
      .map(([sound, text, other, place]) => {
        const id = place === 'id' ? text : 'test.hello';
        const broken = typeof other === 'object' && other !== null ? other : {};
        const entry = place === 'id' ? other : { ...broken, [place]: text };
        return { lockfileVersion: 1, plugins: { ...sound, [id]: entry } };
      });
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc.json(),
      changed.map((value) => toJson(value)),
      fc.tuple(changed, fc.nat({ max: 400 })).map(([value, length]) => toJson(value).slice(0, length)),
    );
    await fc.assert(
      fc.asyncProperty(bytes, async (content) => assertHarmless(await read(content))),
      { numRuns: fuzzRuns(500) },
    );
  });
});

/** Of what JSON has no form for nothing is left. */
function toJson(value: unknown): string {
  return JSON.stringify(value, (_key, each: unknown) => (typeof each === 'bigint' ? undefined : each));
}
