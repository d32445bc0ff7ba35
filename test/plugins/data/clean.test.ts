import assert from 'node:assert/strict';
import { create, type JsonObject } from '@bufbuild/protobuf';
import { CleanRequestSchema } from 'lamella/proto/lamella/data/v1/clean_service';
import {
  DatasetVersionSchema,
  DataType,
  type Field,
  FieldSchema,
} from 'lamella/proto/lamella/data/v1/dataset';
import { type CallContext, isDeclaredError } from 'lamella/sdk';
import { type CleanAnswer, Cleaner } from '../../../plugins/data/clean/cleaner.ts';
import type { Columns } from '../../../plugins/data/clean/column.ts';
import { planClean } from '../../../plugins/data/clean/plan.ts';
import { DuckDbTable, engineOf, storeOf } from './duckdb-table.ts';

function columns(...list: readonly (readonly [string, DataType, ...number[]])[]): Columns {
  return new Map(
    list.map(([name, type, ...shape]): [string, Field] => [
      name,
      create(FieldSchema, { name, type, shape: shape.map(BigInt) }),
    ]),
  );
}

type Steps = readonly (readonly [string, JsonObject])[];

async function clean(
  sql: string,
  known: Columns,
  steps: Steps,
): Promise<{ rows: unknown[]; report: unknown }> {
  const table = await DuckDbTable.of(sql);
  try {
    const plan = planClean(
      steps.map(([name, given]) => ({ name, arguments: given })),
      known,
    );
    return { rows: await table.rows(plan.sql), report: (await table.rows(plan.reportSql))[0] };
  } finally {
    table.close();
  }
}

function reason(expected: string): (error: unknown) => boolean {
  return (error) => {
    assert.equal(isDeclaredError(error) ? error.reason : error, expected);
    return true;
  };
}

describe('cleaning', () => {
  const known = columns(['id', DataType.INT32], ['word', DataType.STRING], ['x', DataType.FLOAT64]);
  const data = `SELECT * FROM (VALUES (1, 'a', 1.5::DOUBLE), (2, NULL, 2.5), (3, 'it''s', 'nan'::DOUBLE), (4, 'a', 1.5), (5, 'b', -9))
    AS t(id, word, x)`;

  it('removes missing values, then duplicates, and counts what each step did', async () => {
    const { rows, report } = await clean(data, known, [
      ['drop_missing', {}],
      ['drop_duplicates', { columns: ['word', 'x'] }],
      ['clip_range', { column: 'x', minimum: 0 }],
    ]);
    assert.deepEqual(rows, [
      { id: 1, word: 'a', x: 1.5 },
      { id: 5, word: 'b', x: 0 },
    ]);
    assert.deepEqual(report, {
      rows0: 5,
      rows1: 3,
      rows2: 2,
      rows3: 2,
      changed1: 0,
      changed2: 0,
      changed3: 1,
    });
  });

  it('keeps the first of equal rows and the order of the others, also for tensors', async () => {
    const { rows } = await clean(
      `SELECT * FROM (VALUES (9, [1,2]::UTINYINT[2]), (3, [5,5]), (7, [1,2]), (1, [0,0])) AS t(id, image)`,
      columns(['id', DataType.INT32], ['image', DataType.UINT8, 1, 2]),
      [['drop_duplicates', { columns: ['image'] }]],
    );
    assert.deepEqual(
      rows.map((row) => (row as { id: number }).id),
      [9, 3, 1],
    );
  });

  it('clips every element of a tensor and leaves missing values alone', async () => {
    const tensors = await clean(
      `SELECT [0, 7, 200]::UTINYINT[3] AS image`,
      columns(['image', DataType.UINT8, 3]),
      [['clip_range', { column: 'image', minimum: 1, maximum: 100 }]],
    );
    assert.deepEqual(tensors.rows, [{ image: [1, 7, 100] }]);
    assert.deepEqual(tensors.report, { rows0: 1, rows1: 1, changed1: 2 });
    const numbers = await clean(data, known, [['clip_range', { column: 'x', maximum: 2 }]]);
    assert.deepEqual(
      numbers.rows.map((row) => (row as { x: number }).x),
      [1.5, 2, NaN, 1.5, -9],
    );
  });

  const filters: readonly (readonly [JsonObject, number[]])[] = [
    [{ column: 'id', operator: '>=', value: 4 }, [4, 5]],
    [{ column: 'x', operator: '=', value: 1.5 }, [1, 4]],
    [{ column: 'word', operator: '!=', value: 'a' }, [3, 5]],
    [{ column: 'word', operator: 'in', value: ["it's", 'b'] }, [3, 5]],
    [{ column: 'id', operator: 'not_in', value: [1, 2, 3] }, [4, 5]],
    [{ column: 'word', operator: 'is_missing' }, [2]],
    [{ column: 'x', operator: 'is_not_missing' }, [1, 2, 4, 5]],
    [{ column: 'word', operator: '=', value: "' OR true --" }, []],
  ];
  for (const [given, expected] of filters) {
    it(`filters by ${JSON.stringify(given)}`, async () => {
      const { rows } = await clean(data, known, [['filter', given]]);
      assert.deepEqual(
        rows.map((row) => (row as { id: number }).id),
        expected,
      );
    });
  }

  it('copes with columns whose names try to leave their quotes', async () => {
    const name = 'x"; DROP TABLE input; --';
    const { rows } = await clean(
      `SELECT 1 AS "x""; DROP TABLE input; --", 2 AS row_order`,
      columns([name, DataType.INT32], ['row_order', DataType.INT32]),
      [
        ['drop_duplicates', {}],
        ['clip_range', { column: name, minimum: 5 }],
      ],
    );
    assert.deepEqual(rows, [{ [name]: 5, row_order: 2 }]);
  });

  it('refuses wrong steps by reason', () => {
    const cases: readonly (readonly [string, JsonObject, string])[] = [
      ['scrub', {}, 'STEP_UNKNOWN'],
      ['drop_missing', { column: 'x' }, 'STEP_ARGUMENTS_INVALID'],
      ['drop_missing', { columns: ['y'] }, 'COLUMN_UNKNOWN'],
      ['clip_range', { column: 'x' }, 'STEP_ARGUMENTS_INVALID'],
      ['clip_range', { column: 'x', minimum: 2, maximum: 1 }, 'STEP_ARGUMENTS_INVALID'],
      ['clip_range', { column: 'id', minimum: 0.5 }, 'STEP_ARGUMENTS_INVALID'],
      ['clip_range', { column: 'word', minimum: 1 }, 'STEP_ARGUMENTS_INVALID'],
      ['filter', { column: 'x', operator: 'LIKE', value: 'a' }, 'STEP_ARGUMENTS_INVALID'],
      ['filter', { column: 'x', operator: '=', value: '1; DROP TABLE input' }, 'STEP_ARGUMENTS_INVALID'],
      ['filter', { column: 'word', operator: 'in', value: [] }, 'STEP_ARGUMENTS_INVALID'],
    ];
    for (const [name, given, expected] of cases) {
      assert.throws(() => planClean([{ name, arguments: given }], known), reason(expected), name);
    }
    const many = Array.from({ length: 201 }, () => ({ name: 'drop_missing', arguments: {} }));
    assert.throws(() => planClean(many, known), reason('TOO_MANY_STEPS'));
  });

  it('writes the clean rows as a new version and reports on the last message only', async () => {
    const table = await DuckDbTable.of(data);
    const asked: { step?: unknown }[] = [];
    const version = create(DatasetVersionSchema, {
      name: 'datasets/d/versions/a',
      schema: { fields: [...known.values()] },
    });
    const cleaner = new Cleaner({ store: storeOf(version), engine: engineOf(table, asked) });
    const answers: CleanAnswer[] = [];
    const request = create(CleanRequestSchema, {
      version: 'datasets/d/versions/latest',
      outputDataset: 'out',
      steps: [{ name: 'drop_missing', arguments: {} }],
    });
    for await (const answer of cleaner.clean(request, {} as CallContext)) answers.push(answer);
    assert.equal(answers[0]?.report, undefined);
    const [report] = answers.at(-1)?.report ?? [];
    assert.deepEqual([report?.rowsBefore, report?.rowsAfter], [5n, 3n]);
    assert.equal(answers.at(-1)?.version?.name, 'datasets/out/versions/f');
    assert.deepEqual(asked[0]?.step, {
      name: 'clean',
      arguments: { steps: [{ name: 'drop_missing', arguments: {} }] },
    });
    table.close();
  });
});
