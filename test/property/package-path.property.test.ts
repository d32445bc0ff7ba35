import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { writeFileSync } from 'node:fs';
import fc from 'fast-check';
import { extractArchive } from '../../kernel/packaging/archive-reader.ts';
import { formatDigests, parseDigests } from '../../kernel/packaging/digests.ts';
import { pathProblem, PathSet } from '../../kernel/packaging/entry-path.ts';
import { tarOf } from '../kernel/packaging/archives.ts';
import { FUZZ_TIMEOUT_MS, fuzzRuns } from '../support/fuzz-runs.ts';

/** Paths made of what attacks are made of, and of anything. */
const part = fc.oneof(
  fc.constantFrom('..', '.', '', 'a', 'A', 'C:', '\\', 'con', '\0', '\u202E', 'é', 'e\u0301', '~', ' '),
  fc.string({ unit: 'binary', maxLength: 12 }),
  fc.string({ unit: 'grapheme', maxLength: 12 }),
);
const anyPath = fc
  .tuple(fc.constantFrom('', '/', '\\\\', 'file:'), fc.array(part, { maxLength: 6 }))
  .map(([start, parts]) => start + parts.join('/'));

describe('paths in a package', function () {
  this.timeout(FUZZ_TIMEOUT_MS);
  it('stay below their folder on every system when they are taken', () => {
    fc.assert(
      fc.property(anyPath, (name) => {
        if (pathProblem(name) !== undefined) return;
        assert.ok(path.posix.resolve('/base/folder', name).startsWith('/base/folder/'));
        assert.ok(path.win32.resolve('C:\\base\\folder', name).startsWith('C:\\base\\folder\\'));
        assert.equal(path.posix.normalize(name), name);
      }),
      { numRuns: fuzzRuns(20_000) },
    );
  });

  it('never become one file on a system that ignores case', () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom('a', 'A', 'a/b', 'A/b', 'a/B', 'ß', 'ẞ', 'SS'), { maxLength: 6 }),
        (names) => {
          const set = new PathSet();
          const taken = names.filter((name) => set.add(name) === undefined);
          assert.equal(new Set(taken.map((name) => name.toLowerCase())).size, taken.length);
        },
      ),
    );
  });

  it('survive being written down and read', () => {
    fc.assert(
      fc.property(fc.uniqueArray(anyPath, { maxLength: 8 }), (names) => {
        const set = new PathSet();
        const sound = names.filter((name) => pathProblem(name) === undefined && set.add(name) === undefined);
        const file = { sha256: 'a'.repeat(64), size: 1, executable: false };
        const digests = { id: 'a.b', version: '1.0.0', files: new Map(sound.map((name) => [name, file])) };
        const text = formatDigests(digests);
        assert.deepEqual([...parseDigests(text).files.keys()].toSorted(), sound.toSorted());
        assert.equal(formatDigests(parseDigests(text)), text);
      }),
    );
  });
});

describe('an archive of any paths', function () {
  this.timeout(FUZZ_TIMEOUT_MS);
  let parent: string;
  beforeEach(() => {
    parent = mkdtempSync(path.join(tmpdir(), 'lamella-archive-'));
  });
  afterEach(() => rmSync(parent, { recursive: true, force: true }));

  it('writes nothing outside of its folder', async () => {
    const directory = path.join(parent, 'deep', 'inside');
    const file = path.join(parent, 'archive.tgz');
    const bytes = (entries: readonly string[]): Buffer =>
      gzipSync(tarOf(entries.filter((name) => name !== '').map((name) => ({ path: name, content: 'x' }))));
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.constantFrom('package/', ''), anyPath), { minLength: 1, maxLength: 4 }),
        async (names) => {
          writeFileSync(file, bytes(names.map((pair) => pair.join(''))));
          await extractArchive(file, directory).catch((error: Error) => {
            assert.equal(error.name, 'PACKAGE_INVALID', error.stack);
          });
          assert.deepEqual(
            readdirSync(parent).filter((name) => name !== 'deep'),
            ['archive.tgz'],
          );
          rmSync(path.join(parent, 'deep'), { recursive: true, force: true });
        },
      ),
      { numRuns: fuzzRuns(500) },
    );
  });

  it('ends with a sentence when any of its bytes are changed', async () => {
    const file = path.join(parent, 'archive.tgz');
    const tar = tarOf([
      { path: 'package/a', content: 'x'.repeat(700) },
      { path: 'package/b/c', content: 'y' },
    ]);
    const change = fc.tuple(fc.nat({ max: tar.length - 1 }), fc.nat({ max: 255 }));
    await fc.assert(
      fc.asyncProperty(fc.array(change, { maxLength: 5 }), fc.boolean(), async (changes, isPacked) => {
        const bytes = isPacked ? gzipSync(tar) : Buffer.from(tar);
        for (const [at, value] of changes) bytes[at % bytes.length] = value;
        writeFileSync(file, isPacked ? bytes : gzipSync(bytes));
        await extractArchive(file, path.join(parent, 'inside')).catch((error: Error) => {
          assert.equal(error.name, 'PACKAGE_INVALID', error.stack);
        });
        assert.deepEqual(
          readdirSync(parent).filter((name) => name !== 'inside'),
          ['archive.tgz'],
        );
        rmSync(path.join(parent, 'inside'), { recursive: true, force: true });
      }),
      { numRuns: fuzzRuns(500) },
    );
  });
});
