import assert from 'node:assert/strict';
import { DataType } from 'lamella/proto/lamella/data/v1/dataset';
import { isHoldout } from 'lamella/sdk';
import { holdoutSql } from '../../../plugins/app/feedback/holdout-sql.ts';
import type { Column } from '../../../plugins/data/preprocess/column.ts';
import { fitPipeline } from '../../../plugins/data/preprocess/pipeline.ts';
import { checkCondition } from '../../../plugins/data/preprocess/sql.ts';
import { DuckDbTable } from '../data/duckdb-table.ts';

describe('the hold-out in SQL', () => {
  async function heldOut(select: string, condition: string): Promise<unknown[]> {
    const table = await DuckDbTable.of(select);
    try {
      const rows = await table.rows(`SELECT * FROM input WHERE ${condition}`);
      return rows.map((row) => Object.values(row)[0]);
    } finally {
      table.close();
    }
  }

  for (const [share, seed] of [
    [0.2, 0],
    [0.5, 4_294_967_295],
    [1e-3, 7],
  ] as const) {
    it(`holds out the rows that isHoldout does, for share ${share} and seed ${seed}`, async () => {
      const found = await heldOut(
        'SELECT range - 1000 AS id FROM range(6000)',
        holdoutSql('id', share, seed),
      );
      const expected = Array.from({ length: 6_000 }, (_, row) => BigInt(row - 1_000));
      assert.deepEqual(
        found,
        expected.filter((key) => isHoldout(key, share, seed)),
      );
      assert.ok(found.length > 0);
    });
  }

  it('takes texts as keys, also beyond ASCII', async () => {
    const keys = Array.from({ length: 500 }, (_, row) => `é${row}'数😀`);
    const values = keys.map((key) => `('${key.replaceAll("'", "''")}')`).join(', ');
    const found = await heldOut(`SELECT * FROM (VALUES ${values}) AS t(id)`, holdoutSql('id', 0.3, 1));
    assert.deepEqual(
      found,
      keys.filter((key) => isHoldout(key, 0.3, 1)),
    );
  });

  it('holds for a key column of any name, and as row filter of a fit', async () => {
    for (const name of ['hash', 'byte', 'pair', 'a "b" -- (']) {
      const quoted = `"${name.replaceAll('"', '""')}"`;
      const condition = checkCondition(`NOT (${holdoutSql(name, 0.5, 0)})`);
      const found = await heldOut(`SELECT range AS ${quoted} FROM range(100)`, condition);
      assert.deepEqual(
        found,
        Array.from({ length: 100 }, (_, row) => BigInt(row)).filter((key) => !isHoldout(key, 0.5, 0)),
      );
    }
  });

  it('keeps the held-out rows out of what a step learns', async () => {
    const table = await DuckDbTable.of(
      'SELECT range::INTEGER AS id, CASE WHEN range % 10 = 0 THEN NULL ELSE range::DOUBLE END AS x FROM range(400)',
    );
    try {
      const columns = ['id', 'x'].map((name): [string, Column] => {
        const type = name === 'id' ? DataType.INT32 : DataType.FLOAT64;
        return [name, { name, type, shape: [], nullable: true, metadata: {} }];
      });
      const { learned } = await fitPipeline(
        [{ name: 'impute', arguments: { column: 'x', strategy: 'mean' } }],
        new Map(columns),
        { query: (sql) => table.rows(sql), condition: `NOT (${holdoutSql('id', 0.5, 0)})` },
      );
      const seen = Array.from({ length: 400 }, (_, row) => row).filter(
        (row) => row % 10 !== 0 && !isHoldout(row, 0.5, 0),
      );
      const mean = seen.reduce((sum, value) => sum + value, 0) / seen.length;
      const numbers = Object.values(learned[0]?.state ?? {})
        .flat()
        .map(Number);
      assert.ok(
        numbers.some((value) => Math.abs(value - mean) < 1e-3),
        `${mean} is not among ${numbers.join(', ')}`,
      );
    } finally {
      table.close();
    }
  });
});
