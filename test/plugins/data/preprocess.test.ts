import assert from 'node:assert/strict';
import { create, type JsonObject } from '@bufbuild/protobuf';
import { DatasetVersionSchema, DataType } from 'lamella/proto/lamella/data/v1/dataset';
import { FitRequestSchema, TransformRequestSchema } from 'lamella/proto/lamella/data/v1/preprocess_service';
import { type CallContext, isDeclaredError } from 'lamella/sdk';
import { decodeModel, modelInputs, modelOutputs } from 'lamella/sdk/onnx';
import * as ort from 'onnxruntime-node';
import type { Column, Columns } from '../../../plugins/data/preprocess/column.ts';
import { onnxForm } from '../../../plugins/data/preprocess/onnx-form.ts';
import { fitPipeline, restorePipeline } from '../../../plugins/data/preprocess/pipeline.ts';
import { Preprocessor } from '../../../plugins/data/preprocess/preprocessor.ts';
import { checkCondition } from '../../../plugins/data/preprocess/sql.ts';
import { DuckDbTable, engineOf, storeOf } from './duckdb-table.ts';

const context = {} as CallContext;

function columns(...list: readonly (readonly [string, DataType, ...number[]])[]): Columns {
  return new Map(
    list.map(([name, type, ...shape]): [string, Column] => [
      name,
      { name, type, shape, nullable: true, metadata: {} },
    ]),
  );
}

function step(name: string, given: JsonObject): { name: string; arguments: JsonObject } {
  return { name, arguments: given };
}

function reason(expected: string): (error: unknown) => boolean {
  return (error) => {
    assert.equal(isDeclaredError(error) ? error.reason : error, expected);
    return true;
  };
}

type Feed = Readonly<Record<string, ort.Tensor>>;

/** Fits over `sql`, runs both forms and returns the features of both as flat numbers. */
async function bothForms(
  sql: string,
  raw: Columns,
  options: {
    steps: readonly { name: string; arguments: JsonObject }[];
    features: readonly string[];
    feed: Feed;
  },
): Promise<{ sql: number[]; onnx: number[]; shape: readonly number[] }> {
  const table = await DuckDbTable.of(sql);
  try {
    const pipeline = await fitPipeline(options.steps, raw, {
      query: (text) => table.rows(text),
      condition: '',
    });
    const { bytes, outputs } = onnxForm(pipeline, raw, options.features);
    assert.equal(outputs.length, 1);
    const rows = await table.rows(pipeline.sql);
    const session = await ort.InferenceSession.create(bytes);
    const output = (await session.run(options.feed))['features'];
    await session.release();
    assert.ok(output !== undefined);
    const computed = rows.flatMap((row) => row[outputs[0] ?? ''] as number | number[]).map(Number);
    return { sql: computed, onnx: Array.from(output.data as Float32Array, Number), shape: output.dims };
  } finally {
    table.close();
  }
}

describe('preprocessing', () => {
  it('turns raw digits into the same features in SQL and in ONNX, bit by bit', async () => {
    const pixels = Uint8Array.from({ length: 3 * 784 }, (_, index) => (index * 37) % 256);
    const rows = [0, 1, 2].map(
      (row) => `(${row}, [${pixels.slice(row * 784, (row + 1) * 784).join(',')}]::UTINYINT[784])`,
    );
    const result = await bothForms(
      `SELECT * FROM (VALUES ${rows.join(',')}) AS t(id, image)`,
      columns(['id', DataType.INT32], ['image', DataType.UINT8, 28, 28]),
      {
        steps: [
          step('cast', { column: 'image', type: 'FLOAT32' }),
          step('scale', { column: 'image', factor: 1 / 255 }),
          step('reshape', { column: 'image', shape: [784] }),
        ],
        features: ['image'],
        feed: { image: new ort.Tensor('uint8', pixels, [3, 28, 28]) },
      },
    );
    assert.deepEqual(result.shape, [3, 784]);
    assert.deepEqual(result.sql, result.onnx);
    assert.equal(result.onnx[1], Math.fround(37 * Math.fround(1 / 255)));
  });

  it('gives the same numbers for a table of text, numbers and missing values', async () => {
    const result = await bothForms(
      `SELECT * FROM (VALUES (1.5::DOUBLE, 'red', 7::BIGINT, true), (NULL, 'it''s', 3, false), (4.25, 'unseen', 7, true)) AS t(price, colour, size, sold)`,
      columns(
        ['price', DataType.FLOAT64],
        ['colour', DataType.STRING],
        ['size', DataType.INT64],
        ['sold', DataType.BOOL],
      ),
      {
        steps: [
          step('impute', { column: 'price', strategy: 'mean' }),
          step('standardize', { column: 'price' }),
          step('one_hot', { column: 'colour' }),
          step('one_hot', { column: 'size' }),
          step('one_hot', { column: 'sold' }),
          step('concat', { columns: ['price', 'colour', 'size', 'sold'], output: 'features' }),
        ],
        features: ['price', 'colour', 'size', 'sold'],
        feed: {
          price: new ort.Tensor('float64', Float64Array.of(1.5, NaN, 4.25), [3]),
          colour: new ort.Tensor('string', ['red', "it's", 'unseen'], [3]),
          size: new ort.Tensor('int64', BigInt64Array.of(7n, 3n, 7n), [3]),
          sold: new ort.Tensor('bool', Uint8Array.of(1, 0, 1), [3]),
        },
      },
    );
    assert.deepEqual(result.shape, [3, 8]);
    assert.deepEqual(result.sql, result.onnx);
    assert.deepEqual(result.onnx.slice(9, 16), [1, 0, 0, 1, 0, 1, 0]);
  });

  it('cuts fractions off in both forms', async () => {
    const result = await bothForms(
      `SELECT * FROM (VALUES (2.7::FLOAT), (-2.7), (0.5)) AS t(x)`,
      columns(['x', DataType.FLOAT32]),
      {
        steps: [step('cast', { column: 'x', type: 'INT64' }), step('reshape', { column: 'x', shape: [1] })],
        features: ['x'],
        feed: { x: new ort.Tensor('float32', Float32Array.of(2.7, -2.7, 0.5), [3]) },
      },
    );
    assert.deepEqual(result.sql, [2, -2, 0]);
    assert.deepEqual(result.onnx, result.sql);
    assert.deepEqual(result.shape, [3, 1]);
  });

  it('standardizes tensors over all their elements', async () => {
    const result = await bothForms(
      `SELECT * FROM (VALUES ([1,2,3,4]::UTINYINT[4]), ([5,6,7,9]::UTINYINT[4])) AS t(image)`,
      columns(['image', DataType.UINT8, 2, 2]),
      {
        steps: [step('standardize', { column: 'image' })],
        features: ['image'],
        feed: { image: new ort.Tensor('uint8', Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 9), [2, 2, 2]) },
      },
    );
    assert.deepEqual(result.sql, result.onnx);
    assert.ok(Math.abs(result.onnx.reduce((sum, value) => sum + value, 0)) < 1e-6);
  });

  it('learns each step from what the steps before it give, and only from the chosen rows', async () => {
    const table = await DuckDbTable.of(
      `SELECT * FROM (VALUES (1, 2.0::FLOAT), (2, NULL), (3, 100)) AS t(id, x)`,
    );
    const pipeline = await fitPipeline(
      [step('impute', { column: 'x', strategy: 'constant', value: 4 }), step('standardize', { column: 'x' })],
      columns(['id', DataType.INT32], ['x', DataType.FLOAT32]),
      { query: (text) => table.rows(text), condition: 'id <> 3' },
    );
    assert.deepEqual(pipeline.learned[1]?.state, { mean: 3, deviation: 1 });
    assert.deepEqual(
      (await table.rows(pipeline.sql)).map(({ x }) => x),
      [-1, 1, 97],
    );
    table.close();
  });

  it('passes columns with hostile names through untouched', async () => {
    const table = await DuckDbTable.of(`SELECT 1 AS "a""; DROP TABLE input; --", 2.0::FLOAT AS x`);
    const pipeline = await fitPipeline(
      [step('scale', { column: 'a"; DROP TABLE input; --', factor: 3 })],
      columns(['a"; DROP TABLE input; --', DataType.INT32], ['x', DataType.FLOAT32]),
      { query: (text) => table.rows(text), condition: '' },
    );
    assert.deepEqual(await table.rows(pipeline.sql), [{ 'a"; DROP TABLE input; --': 3, x: 2 }]);
    table.close();
  });

  it('refuses wrong steps, columns and arguments by reason', async () => {
    const raw = columns(
      ['x', DataType.FLOAT32],
      ['word', DataType.STRING],
      ['image', DataType.UINT8, 28, 28],
    );
    const cases: readonly (readonly [string, JsonObject, string])[] = [
      ['shrink', {}, 'STEP_UNKNOWN'],
      ['scale', { column: 'x' }, 'STEP_ARGUMENTS_INVALID'],
      ['scale', { column: 'x', factor: 1, power: 2 }, 'STEP_ARGUMENTS_INVALID'],
      ['scale', { column: 'y', factor: 1 }, 'COLUMN_UNKNOWN'],
      ['scale', { column: 'word', factor: 1 }, 'COLUMN_UNFIT'],
      ['reshape', { column: 'image', shape: [3, 3] }, 'COLUMN_UNFIT'],
      ['one_hot', { column: 'x' }, 'COLUMN_UNFIT'],
      ['impute', { column: 'x', strategy: 'constant' }, 'STEP_ARGUMENTS_INVALID'],
      ['standardize', { column: 'x' }, 'NOTHING_TO_LEARN'],
    ];
    for (const [name, given, expected] of cases) {
      const fit = fitPipeline([step(name, given)], raw, { query: async () => [], condition: '' });
      await assert.rejects(fit, reason(expected), name);
    }
    for (const condition of [
      '1=1) OR (1=1',
      "id = 'a",
      'id = 1; DROP TABLE input',
      'id = 1 -- x',
      '(id = 1',
    ]) {
      assert.throws(() => checkCondition(condition), reason('ROW_FILTER_INVALID'), condition);
    }
    assert.equal(checkCondition(`"id" % 5 <> 0 AND (w = 'it''s;(')`), `"id" % 5 <> 0 AND (w = 'it''s;(')`);
    await assert.rejects(
      restorePipeline(
        [{ ...step('standardize', { column: 'x' }), state: { mean: 'DROP', deviation: 1 } }],
        raw,
      ),
      reason('STEP_ARGUMENTS_INVALID'),
    );
  });

  it('fits over the services and transforms with what it fitted', async () => {
    const table = await DuckDbTable.of(`SELECT range AS id, [range, 1]::UTINYINT[2] AS image FROM range(4)`);
    const asked: { sql: string; inputs: unknown }[] = [];
    const version = create(DatasetVersionSchema, {
      name: 'datasets/digits/versions/abc',
      schema: {
        fields: [
          { name: 'id', type: DataType.INT64 },
          { name: 'image', type: DataType.UINT8, shape: [1n, 2n] },
        ],
      },
    });
    const preprocessor = new Preprocessor({ store: storeOf(version), engine: engineOf(table, asked) });
    const pipeline = await preprocessor.fit(
      create(FitRequestSchema, {
        version: 'datasets/digits/versions/latest',
        steps: [
          { name: 'standardize', arguments: { column: 'image' } },
          { name: 'reshape', arguments: { column: 'image', shape: [2] } },
        ],
        featureColumns: ['image'],
      }),
      context,
    );
    assert.equal(pipeline.datasetVersion, version.name);
    assert.deepEqual(
      pipeline.outputSchema?.fields.map(({ name, type, shape }) => ({ name, type, shape })),
      [{ name: 'image', type: DataType.FLOAT32, shape: [2n] }],
    );
    const model = decodeModel(pipeline.onnx);
    assert.deepEqual(
      modelInputs(model).map(({ name, shape }) => [name, shape]),
      [['image', ['N', 1, 2]]],
    );
    assert.deepEqual(
      modelOutputs(model).map(({ name, shape }) => [name, shape]),
      [['features', ['N', 2]]],
    );
    const answers = [];
    const request = create(TransformRequestSchema, {
      version: version.name,
      pipeline,
      outputDataset: 'features',
    });
    for await (const answer of preprocessor.transform(request, context)) answers.push(answer);
    assert.equal(answers.at(-1)?.version?.name, 'datasets/out/versions/f');
    assert.equal(asked[0]?.sql, pipeline.sql);
    table.close();
  });
});
