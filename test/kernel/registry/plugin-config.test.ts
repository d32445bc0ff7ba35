import assert from 'node:assert/strict';
import type { JsonObject } from '@bufbuild/protobuf';
import { validateConfig } from '../../../kernel/registry/plugin-config.ts';
import { DeclaredError } from '../../../sdk/index.ts';
import { manifest } from './manifests.ts';

const SCHEMA: JsonObject = {
  type: 'object',
  additionalProperties: false,
  properties: {
    path: { type: 'string', default: 'data' },
    mode: { enum: ['fast', 'safe'] },
    token: { type: 'string', format: 'lamella-secret' },
    limits: {
      type: 'object',
      default: {},
      additionalProperties: false,
      properties: { rows: { type: 'integer', minimum: 1, default: 10 } },
    },
  },
};

function problemsOf(value: unknown, config: JsonObject | undefined = SCHEMA): string {
  try {
    validateConfig(manifest('data.a', config === undefined ? {} : { config }), value);
  } catch (error) {
    assert.ok(error instanceof DeclaredError && error.reason === 'PLUGIN_CONFIG_INVALID');
    assert.equal(error.metadata['plugin'], 'data.a');
    return error.metadata['problems'] ?? '';
  }
  return '';
}

describe('validateConfig', () => {
  const withSchema = manifest('data.a', { config: SCHEMA });

  it('fills in defaults on every level and leaves the given value alone', () => {
    const given = { mode: 'fast', limits: {} };
    assert.deepEqual(validateConfig(withSchema, given), { path: 'data', mode: 'fast', limits: { rows: 10 } });
    assert.deepEqual(given, { mode: 'fast', limits: {} });
    assert.deepEqual(validateConfig(withSchema, undefined), { path: 'data', limits: { rows: 10 } });
  });

  it('takes nothing for a plugin without options', () => {
    assert.deepEqual(validateConfig(manifest('data.b'), undefined), {});
    assert.throws(() => validateConfig(manifest('data.b'), { x: 1 }), /no option 'x'/);
  });

  it('names every option that is wrong', () => {
    const problems = problemsOf({ path: 1, mode: 'slow', limits: { rows: 0, row: 1 } });
    for (const wording of [
      /'path' must be string/,
      /'mode' must be equal to one of the allowed values: fast, safe/,
      /'limits\.rows' must be >= 1/,
      /'limits' has no option 'row'/,
    ]) {
      assert.match(problems, wording);
    }
  });

  it('names the option that was probably meant', () => {
    assert.match(problemsOf({ pth: 'x' }), /has no option 'pth', perhaps 'path' is meant/);
  });

  for (const value of [[], 'text', 7]) {
    it(`refuses ${JSON.stringify(value)} in place of options`, () => {
      assert.match(problemsOf(value), /must be an object of options/);
    });
  }
});
