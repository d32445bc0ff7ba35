import assert from 'node:assert/strict';
import { create, type JsonObject } from '@bufbuild/protobuf';
import { DatasetVersionSchema, DataType } from 'lamella/proto/lamella/data/v1/dataset';
import {
  CheckRequestSchema,
  type ColumnProfile,
  DetectDriftRequestSchema,
  ProfileRequestSchema,
  RuleLevel,
} from 'lamella/proto/lamella/data/v1/quality_service';
import { type CallContext, isDeclaredError } from 'lamella/sdk';
import { Inspector } from '../../../plugins/data/quality/inspector.ts';
import { DuckDbTable, engineOf, storeOf } from './duckdb-table.ts';

const context = {} as CallContext;

const version = create(DatasetVersionSchema, {
  name: 'datasets/d/versions/f',
  schema: {
    fields: [
      { name: 'id', type: DataType.INT32 },
      { name: 'label', type: DataType.INT32 },
      { name: 'word', type: DataType.STRING },
      { name: 'x', type: DataType.FLOAT64 },
      { name: 'image', type: DataType.UINT8, shape: [1n, 2n] },
    ],
  },
});

// 60 rows; labels 0 to 3 but class 3 only 6 times; one word and one x missing.
const data = `SELECT range::INTEGER AS id,
  (CASE WHEN range % 10 = 0 THEN 3 ELSE range % 3 END)::INTEGER AS label,
  CASE WHEN range = 7 THEN NULL ELSE 'w' || (range % 2) END AS word,
  CASE WHEN range = 9 THEN 'nan'::DOUBLE ELSE range / 10 END AS x,
  [range, 255 - range]::UTINYINT[2] AS image FROM range(60)`;

type RuleInit = {
  kind: string;
  column?: string;
  arguments?: JsonObject;
  level?: RuleLevel;
  threshold?: number;
};

function reason(expected: string): (error: unknown) => boolean {
  return (error) => {
    assert.equal(isDeclaredError(error) ? error.reason : error, expected);
    return true;
  };
}

describe('data quality', () => {
  let table: DuckDbTable;
  let inspector: Inspector;

  before(async () => {
    table = await DuckDbTable.of(data);
    inspector = new Inspector({ store: storeOf(version), engine: engineOf(table) });
  });
  after(() => table.close());

  const check = (rules: RuleInit[]): ReturnType<Inspector['check']> =>
    inspector.check(create(CheckRequestSchema, { version: version.name, rules }), context);

  const cases: readonly (readonly [string, RuleInit, boolean, number])[] = [
    ['enough rows', { kind: 'row_count', arguments: { minimum: 60 } }, true, 60],
    ['too many rows', { kind: 'row_count', arguments: { maximum: 59 } }, false, 60],
    ['a complete column', { kind: 'is_complete', column: 'label' }, true, 1],
    ['a column with NULL', { kind: 'is_complete', column: 'word' }, false, 59 / 60],
    ['a column with NaN', { kind: 'is_complete', column: 'x' }, false, 59 / 60],
    ['a threshold', { kind: 'is_complete', column: 'x', threshold: 0.95 }, true, 59 / 60],
    ['a range', { kind: 'in_range', column: 'label', arguments: { minimum: 0, maximum: 9 } }, true, 1],
    ['a broken range', { kind: 'in_range', column: 'label', arguments: { maximum: 2 } }, false, 54 / 60],
    ['a range of tensors', { kind: 'in_range', column: 'image', arguments: { minimum: 1 } }, false, 59 / 60],
    ['a set', { kind: 'in_set', column: 'word', arguments: { values: ['w0', 'w1'] } }, true, 1],
    ['a broken set', { kind: 'in_set', column: 'label', arguments: { values: [0, 1, 2] } }, false, 54 / 60],
    ['a key', { kind: 'unique', column: 'id' }, true, 1],
    ['no key', { kind: 'unique', column: 'label' }, false, 4 / 60],
    ['balance', { kind: 'class_balance', column: 'label', arguments: { minimum_share: 0.3 } }, true, 6 / 18],
    [
      'imbalance',
      { kind: 'class_balance', column: 'label', arguments: { minimum_share: 0.5 } },
      false,
      6 / 18,
    ],
  ];
  for (const [title, rule, passed, observed] of cases) {
    it(`judges ${title}`, async () => {
      const { results } = await check([rule]);
      assert.equal(results?.[0]?.passed, passed);
      assert.ok(Math.abs((results[0].observed ?? NaN) - observed) < 1e-9, String(results[0].observed));
    });
  }

  it('fails on broken errors only, and shows values that break a rule', async () => {
    const warning: RuleInit = { kind: 'is_complete', column: 'word', level: RuleLevel.WARNING };
    const complete: RuleInit = { kind: 'is_complete', column: 'label' };
    const warned = await check([warning, complete]);
    assert.equal(warned.passed, true);
    assert.equal(warned.results?.[0]?.message, "'word' is there: 98.333 % of rows, not for example missing");
    const range: RuleInit = { kind: 'in_range', column: 'label', arguments: { maximum: 2 } };
    const broken = await check([warning, range]);
    assert.equal(broken.passed, false);
    assert.equal(broken.results?.[1]?.message, "'label' at most 2: 90 % of rows, not for example 3");
    assert.deepEqual(await check([]), { passed: true, results: [] });
  });

  it('refuses rules that make no sense, by reason', async () => {
    const wrong: readonly (readonly [RuleInit, string])[] = [
      [{ kind: 'is_pretty' }, 'RULE_INVALID'],
      [{ kind: 'toString' }, 'RULE_INVALID'],
      [{ kind: 'is_complete', column: 'y' }, 'COLUMN_UNKNOWN'],
      [{ kind: 'is_complete', column: 'x', threshold: 2 }, 'RULE_INVALID'],
      [{ kind: 'in_range', column: 'word', arguments: { minimum: 1 } }, 'RULE_INVALID'],
      [{ kind: 'in_range', column: 'x' }, 'RULE_INVALID'],
      [{ kind: 'in_range', column: 'x', arguments: { minimum: '0 OR 1=1' } }, 'RULE_INVALID'],
      [{ kind: 'in_set', column: 'label', arguments: { values: ['1); DROP TABLE input'] } }, 'RULE_INVALID'],
      [{ kind: 'in_set', column: 'label', arguments: { value: [1] } }, 'RULE_INVALID'],
      [{ kind: 'class_balance', column: 'label', arguments: {} }, 'RULE_INVALID'],
    ];
    for (const [rule, expected] of wrong)
      await assert.rejects(check([rule]), reason(expected), JSON.stringify(rule));
    const many = Array.from({ length: 501 }, () => ({ kind: 'row_count', arguments: { minimum: 1 } }));
    await assert.rejects(check(many), reason('TOO_MANY'));
  });

  it('profiles plain columns and tensors', async () => {
    const profile = await inspector.profile(create(ProfileRequestSchema, { version: version.name }), context);
    assert.equal(profile.rowCount, 60n);
    const column = (name: string): ColumnProfile => {
      const found = profile.columns.find((candidate) => candidate.column === name);
      assert.ok(found !== undefined, name);
      return found;
    };
    const [id, word, x, image] = [column('id'), column('word'), column('x'), column('image')];
    assert.deepEqual([id.distinctCount, id.minimum, id.maximum, id.mean], [60n, 0, 59, 29.5]);
    assert.ok(Math.abs((id.standardDeviation ?? 0) - 17.464249) < 1e-5);
    assert.deepEqual(
      column('label').topValues.map(({ value, count }) => [value, count]),
      [
        ['0', 18n],
        ['1', 18n],
        ['2', 18n],
        ['3', 6n],
      ],
    );
    assert.deepEqual([word.nullCount, word.distinctCount, word.minimum], [1n, 2n, undefined]);
    assert.deepEqual([x.nullCount, x.maximum], [1n, 5.9]);
    assert.deepEqual([image.distinctCount, image.topValues.length], [60n, 0]);
  });

  it('suggests rules that the version keeps', async () => {
    const rules = await inspector.suggest(version.name, context);
    assert.deepEqual(
      rules.map(({ kind, column }) => `${kind} ${column}`.trim()),
      [
        'row_count',
        'is_complete id',
        'unique id',
        'is_complete label',
        'in_set label',
        'in_set word',
        'in_range x',
        'is_complete image',
      ],
    );
    const { results } = await inspector.check(
      create(CheckRequestSchema, { version: version.name, rules }),
      context,
    );
    assert.deepEqual(
      results?.filter(({ passed }) => passed !== true),
      [],
    );
  });
});

describe('drift', () => {
  it('is nothing between equal versions, and found where a column moves', async () => {
    const table = await DuckDbTable.of('SELECT 1 AS one');
    for (const [name, shift] of [
      ['reference', 0],
      ['current', 50],
    ] as const) {
      await table.rows(
        `CREATE TABLE "${name}" AS SELECT range AS id, range % 100 AS same, (range % 100 + ${shift})::DOUBLE AS moved,
         CASE WHEN range % 10 < ${shift === 0 ? 1 : 6} THEN 'a' ELSE 'b' END AS word FROM range(1000)`,
      );
    }
    const versions = create(DatasetVersionSchema, {
      name: 'datasets/d/versions/f',
      schema: {
        fields: [
          { name: 'same', type: DataType.INT64 },
          { name: 'moved', type: DataType.FLOAT64 },
          { name: 'word', type: DataType.STRING },
        ],
      },
    });
    const inspector = new Inspector({ store: storeOf(versions), engine: engineOf(table) });
    const request = create(DetectDriftRequestSchema, { referenceVersion: 'a', currentVersion: 'b' });
    const { drifted, columns } = await inspector.drift(request, context);
    const figures = (columns ?? []).map(({ column, stabilityIndex = 0, distance = 0, drifted: moved }) => [
      column,
      moved,
      Number(stabilityIndex.toFixed(3)),
      Number(distance.toFixed(2)),
    ]);
    assert.equal(drifted, true);
    assert.deepEqual(figures[0], ['same', false, 0, 0]);
    assert.deepEqual([figures[1]?.[1], figures[1]?.[3]], [true, 0.5]);
    // (.6 - .1) ln(.6 / .1) + (.4 - .9) ln(.4 / .9)
    assert.deepEqual(figures[2], ['word', true, 1.301, 0]);
    table.close();
  });
});
