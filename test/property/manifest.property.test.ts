import assert from 'node:assert/strict';
import { toJson, toJsonString } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { parseManifest } from '../../kernel/registry/manifest.ts';
import { nearestName } from '../../kernel/registry/nearest-name.ts';
import { ManifestSchema } from '../../proto/gen/lamella/kernel/v1/manifest_pb.ts';
import { DeclaredError } from '../../sdk/index.ts';
import { manifest } from '../kernel/registry/manifests.ts';
import { FUZZ_TIMEOUT_MS } from '../support/fuzz-runs.ts';

/** Parses; whatever is thrown must be the declared error. */
function parseOrProblems(text: string): string | undefined {
  try {
    parseManifest(text, 'plugin.json');
    return undefined;
  } catch (error) {
    assert.ok(error instanceof DeclaredError && error.reason === 'MANIFEST_INVALID', String(error));
    assert.notEqual(error.metadata['problems'], '');
    return error.message;
  }
}

const word = fc.stringMatching(/^[a-z][a-z0-9-]{0,10}$/);
const service = fc.stringMatching(/^[a-z]{1,5}\.v1\.[A-Z][a-z]{1,8}Service$/);
const valid = fc
  .record({
    layer: word,
    name: word,
    provides: fc.uniqueArray(service, { maxLength: 4 }),
    requires: fc.array(fc.record({ service, optional: fc.boolean() }), { maxLength: 4 }),
  })
  .map(({ layer, name, provides, requires }) =>
    manifest(`${layer}.${name}`, { provides: provides.map((provided) => ({ service: provided })), requires }),
  );

describe('parseManifest, for any text', function () {
  this.timeout(FUZZ_TIMEOUT_MS);
  it('reads back every valid manifest', () => {
    fc.assert(
      fc.property(valid, (original) => {
        assert.deepEqual(parseManifest(toJsonString(ManifestSchema, original), 'plugin.json'), original);
      }),
    );
  });

  it('answers any text with the declared error', () => {
    fc.assert(fc.property(fc.string(), (text) => assert.notEqual(parseOrProblems(text), undefined)));
  });

  it('answers any JSON with the declared error', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 6 }), (text) => assert.notEqual(parseOrProblems(text), undefined)),
    );
  });

  it('answers a valid manifest with any one field replaced by any value with a manifest or the declared error', () => {
    const fields = ManifestSchema.fields.map(({ jsonName }) => jsonName);
    fc.assert(
      fc.property(
        valid,
        fc.constantFrom(...fields),
        fc.jsonValue({ maxDepth: 3 }),
        (original, field, value) => {
          const json = { ...(toJson(ManifestSchema, original) as object), [field]: value };
          parseOrProblems(JSON.stringify(json));
        },
      ),
    );
  });

  it('refuses every key that a manifest does not have, by its name', () => {
    const known = new Set(ManifestSchema.fields.flatMap(({ jsonName, name }) => [jsonName, name]));
    const key = fc.stringMatching(/^[a-z]{1,30}$/).filter((name) => !known.has(name));
    fc.assert(
      fc.property(valid, key, (original, name) => {
        const json = { ...(toJson(ManifestSchema, original) as object), [name]: 1 };
        assert.ok(parseOrProblems(JSON.stringify(json))?.includes(`'${name}'`));
      }),
    );
  });
});

describe('nearestName, for any names', function () {
  this.timeout(FUZZ_TIMEOUT_MS);
  const names = fc.uniqueArray(fc.stringMatching(/^[a-z]{4,10}$/), { minLength: 1, maxLength: 8 });

  it('finds a known name again', () => {
    fc.assert(
      fc.property(names, fc.nat(), (known, pick) => {
        const name = known[pick % known.length] ?? '';
        assert.equal(nearestName(name, known), name);
      }),
    );
  });

  it('finds a name with one letter left out among names that do not resemble it', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[a-m]{4,10}$/), fc.nat(), (name, pick) => {
        const at = pick % name.length;
        const misspelt = name.slice(0, at) + name.slice(at + 1);
        assert.equal(nearestName(misspelt, ['zzzzzzzzzzzzzz', name]), name);
      }),
    );
  });
});
