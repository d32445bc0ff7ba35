import assert from 'node:assert/strict';
import { create, type JsonObject } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { migrateConfig, migrationProblems } from '../../../kernel/registry/config-migration.ts';
import { ConfigMigrationSchema, type Manifest } from '../../../proto/gen/lamella/kernel/v1/manifest_pb.ts';
import { manifest } from './manifests.ts';

function withMigrations(...migrations: readonly { from: string; patch: JsonObject[] }[]): Manifest {
  return {
    ...manifest('data.a'),
    version: '3.0.0',
    configMigrations: migrations.map((migration) => create(ConfigMigrationSchema, migration)),
  };
}

describe('migrateConfig', () => {
  const steps = withMigrations(
    { from: '<2.0.0', patch: [{ op: 'move', from: '/timeoutSeconds', path: '/timeout/seconds' }] },
    {
      from: '<3.0.0',
      patch: [
        { op: 'remove', path: '/colour' },
        { op: 'test', path: '/mode', value: 'fast' },
        { op: 'replace', path: '/mode', value: 'turbo' },
      ],
    },
  );

  it('applies the steps since the version that the configuration was written for, in their order', () => {
    const old = { timeoutSeconds: 5, colour: 'red', mode: 'fast' };
    assert.deepEqual(migrateConfig(steps, old, '1.4.0'), { timeout: { seconds: 5 }, mode: 'turbo' });
    assert.deepEqual(migrateConfig(steps, old, '2.1.0'), { timeoutSeconds: 5, mode: 'turbo' });
    assert.deepEqual(old, { timeoutSeconds: 5, colour: 'red', mode: 'fast' });
  });

  it('leaves out what is about options that are not set, and ends a step at a test that fails', () => {
    assert.deepEqual(migrateConfig(steps, {}, '1.0.0'), {});
    assert.deepEqual(migrateConfig(steps, { mode: 'slow' }, '1.0.0'), { mode: 'slow' });
  });

  it('says which operation cannot be applied', () => {
    const wrong = withMigrations({ from: '*', patch: [{ op: 'add', path: '/name/first', value: 1 }] });
    assert.throws(
      () => migrateConfig(wrong, { name: 'text' }, '1.0.0'),
      /'\/name\/first' cannot be set, since '\/name' is no object/,
    );
  });

  it('never throws anything but an Error, and never reaches the prototype of objects', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.array(fc.string()), (value, names) => {
        const path = `/${names.map((name) => name.replaceAll('~', '~0').replaceAll('/', '~1')).join('/')}`;
        const next = withMigrations({ from: '*', patch: [{ op: 'add', path, value: value as never }] });
        if (migrationProblems(next).length > 0) return;
        try {
          migrateConfig(next, { a: {} }, '1.0.0');
        } catch (error) {
          assert.ok(error instanceof Error);
        }
        assert.equal(Object.keys(Object.prototype).length, 0);
      }),
    );
  });
});

describe('migrationProblems', () => {
  it('names what is no operation, no path and no range', () => {
    const problems = migrationProblems(
      withMigrations(
        { from: 'soon', patch: [{ op: 'rename', path: '/a' }] },
        {
          from: '*',
          patch: [
            { op: 'move', path: 'a' },
            { op: 'add', path: '/__proto__/x', value: 1 },
          ],
        },
      ),
    );
    assert.deepEqual(problems, [
      'configMigrations[0].patch[0].op must be one of add, remove, replace, move, copy, test.',
      "configMigrations[0].from 'soon' must be a range of versions, like '<2.0.0'.",
      "configMigrations[1].patch[0] needs 'from'.",
      "configMigrations[1].patch[0]: paths are JSON Pointers to an option, like '/retry/count'.",
      "configMigrations[1].patch[1]: paths are JSON Pointers to an option, like '/retry/count'.",
    ]);
  });
});
