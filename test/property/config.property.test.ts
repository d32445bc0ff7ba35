import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { readConfig } from '../../kernel/config.ts';
import { KernelConfigSchema } from '../../kernel/config-schema.ts';
import { formatDigests, parseDigests } from '../../kernel/packaging/digests.ts';
import { pathProblem } from '../../kernel/packaging/entry-path.ts';
import { LOCK_FILE, readLockFile } from '../../kernel/packaging/lock-file.ts';
import { verifySignature } from '../../kernel/packaging/signature.ts';
import { DeclaredError } from '../../sdk/index.ts';
import { FUZZ_TIMEOUT_MS } from '../support/fuzz-runs.ts';

const options = Object.keys((KernelConfigSchema as unknown as { properties: object }).properties);
const inside = fc.constantFrom(
  'isolation',
  'remote',
  'roles',
  'jwt',
  'limits',
  'cert',
  'tls',
  '__proto__',
  'a.b',
);
const nested = fc.dictionary(fc.oneof(inside, fc.string({ maxLength: 5 })), fc.jsonValue({ maxDepth: 2 }), {
  maxKeys: 3,
});
const values = fc.oneof(nested, fc.dictionary(inside, nested, { maxKeys: 2 }), fc.jsonValue({ maxDepth: 3 }));
const settings = fc.dictionary(fc.oneof(fc.constantFrom(...options), fc.string({ maxLength: 6 })), values, {
  maxKeys: 4,
});

const refusedAs =
  (reason: string) =>
  (error: unknown): undefined => {
    assert.ok(error instanceof DeclaredError && error.reason === reason, String(error));
    assert.ok(error.message.length < 4_000, `${error.message.length} characters`);
  };

describe('files in the home folder, for any content', function () {
  this.timeout(FUZZ_TIMEOUT_MS);
  let home: string;
  beforeEach(() => {
    home = mkdtempSync(path.join(tmpdir(), 'lamella-config-'));
  });
  afterEach(() => rmSync(home, { recursive: true, force: true }));

  it('are a configuration or are refused with the file and a problem that people can read', async () => {
    const file = path.join(home, 'config.json');
    const content = fc.oneof(
      settings.map((json) => JSON.stringify(json)),
      fc.json(),
      fc.string({ unit: 'binary' }),
    );
    await fc.assert(
      fc.asyncProperty(content, async (text) => {
        writeFileSync(file, text);
        const config = await readConfig(home).catch(refusedAs('CONFIG_INVALID'));
        if (config !== undefined) assert.equal(typeof config.drainMs, 'number');
      }),
    );
    assert.equal(({} as Record<string, unknown>)['isolation'], undefined);
  });

  const plugin = fc.dictionary(
    fc.constantFrom('version', 'digest', 'source', 'signer', 'installTime', 'previous', '__proto__'),
    fc.oneof(fc.constantFrom('1.0.0', `sha256:${'a'.repeat(64)}`, []), fc.jsonValue({ maxDepth: 2 })),
  );

  it('are a list of plugins or are refused', async () => {
    const json = fc.record({
      lockfileVersion: fc.constant(1),
      plugins: fc.dictionary(fc.constantFrom('a.b', 'c.d', '__proto__', ''), plugin, { maxKeys: 3 }),
    });
    const content = fc.oneof(
      json.map((value) => JSON.stringify(value)),
      fc.json(),
      fc.string({ unit: 'binary' }),
    );
    await fc.assert(
      fc.asyncProperty(content, async (text) => {
        writeFileSync(path.join(home, LOCK_FILE), text);
        await readLockFile(home).catch(refusedAs('LOCK_FILE_INVALID'));
      }),
    );
  });
});

describe('digests and signatures of a package, for any content', function () {
  this.timeout(FUZZ_TIMEOUT_MS);
  const { format } = JSON.parse(formatDigests({ id: 'a.b', version: '1.0.0', files: new Map() })) as {
    format: string;
  };
  const sha256 = fc.oneof(fc.constant('a'.repeat(64)), fc.jsonValue());
  const size = fc.oneof(fc.nat(), fc.double(), fc.jsonValue());
  const file = fc.record({ sha256, size, executable: fc.jsonValue() }, { requiredKeys: [] });
  const files = fc.dictionary(fc.oneof(fc.constantFrom('a', 'a/b', '../a'), fc.string()), file);
  const digests = fc.record(
    {
      format: fc.constantFrom(format, 'x'),
      id: fc.string(),
      version: fc.string(),
      files: fc.oneof(files, fc.jsonValue()),
    },
    { requiredKeys: ['format'] },
  );
  const textOf = (value: fc.Arbitrary<unknown>): fc.Arbitrary<string> =>
    fc.oneof(
      value.map((json) => JSON.stringify(json)),
      fc.json(),
      fc.string({ unit: 'binary' }),
    );
  /** What callers put behind the name of the package. */
  const isPhrase = ({ message }: Error): boolean => /^(?:its |it has |the path )/.test(message);

  it('are digests of files at sound paths or are refused', () => {
    fc.assert(
      fc.property(textOf(digests), (text) => {
        try {
          for (const name of parseDigests(text).files.keys()) assert.equal(pathProblem(name), undefined);
        } catch (error) {
          assert.ok(isPhrase(error as Error), String(error));
        }
      }),
    );
  });

  it('are never a signature of these bytes', () => {
    const key = fc
      .uint8Array({ minLength: 31, maxLength: 33 })
      .map((bytes) => `ed25519:${Buffer.from(bytes).toString('base64')}`);
    const signature = fc.record(
      {
        algorithm: fc.constantFrom('ed25519', 'none'),
        key: fc.oneof(key, fc.string(), fc.jsonValue()),
        signature: fc.oneof(fc.base64String({ maxLength: 120 }), fc.jsonValue()),
      },
      { requiredKeys: ['algorithm'] },
    );
    fc.assert(
      fc.property(textOf(signature), (text) => {
        assert.throws(() => verifySignature(Buffer.from('digests'), text), isPhrase);
      }),
    );
  });
});
