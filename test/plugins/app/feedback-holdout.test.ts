import assert from 'node:assert/strict';
import { isHoldout } from 'lamella/sdk';
import { holdoutSql } from '../../../plugins/app/feedback/holdout-sql.ts';
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
});
