import assert from 'node:assert/strict';
import { access, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { DataType } from 'lamella/proto/lamella/data/v1/dataset';
import { EngineService } from 'lamella/proto/lamella/data/v1/engine_service';
import { StoreService, type WriteVersionRequestSchema } from 'lamella/proto/lamella/data/v1/store_service';
import { type Client, isDeclaredError } from 'lamella/sdk';
import { type Column, decodeArrow, encodeArrow } from 'lamella/sdk/arrow';
import type { EngineConfig } from '../../../plugins/data/engine/config.ts';
import enginePlugin from '../../../plugins/data/engine/plugin.ts';
import type { StoreConfig } from '../../../plugins/data/store/config.ts';
import storePlugin from '../../../plugins/data/store/plugin.ts';
import { FakeHost } from '../../support/fake-host.ts';

type Part = MessageInitShape<typeof WriteVersionRequestSchema>;

const CONFIG: EngineConfig = { memoryMib: 256, threads: 1, queryTimeoutMs: 20_000, cachedTables: 1 };

function reason(expected: string): (error: unknown) => boolean {
  return (error) => {
    assert.equal(isDeclaredError(error) ? error.reason : error, expected);
    return true;
  };
}

function column(name: string, type: DataType, values: Column['values']): Column {
  return { name, type, shape: [], values };
}

async function collected<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const list: Item[] = [];
  for await (const item of items) list.push(item);
  return list;
}

describe('the engine', () => {
  let storeHost: FakeHost<StoreConfig>;
  let host: FakeHost<EngineConfig>;
  let store: Client<typeof StoreService>;
  let engine: Client<typeof EngineService>;

  beforeEach(async () => {
    storeHost = await new FakeHost<StoreConfig>({ config: { maxBatchBytes: 33_554_432 } }).start(storePlugin);
    store = storeHost.client(StoreService);
    await open(CONFIG);
  });
  afterEach(async () => {
    await host.close();
    await storeHost.close();
  });

  async function open(config: EngineConfig): Promise<void> {
    host = new FakeHost<EngineConfig>({ config });
    host.provide(StoreService, storeHost.implementation(StoreService));
    engine = (await host.start(enginePlugin)).client(EngineService);
  }

  async function write(dataset: string, columns: readonly Column[], rowCount: number): Promise<string> {
    async function* parts(): AsyncGenerator<Part> {
      yield { part: { case: 'header', value: { dataset } } };
      yield { part: { case: 'arrowIpc', value: encodeArrow({ rowCount, columns }) } };
    }
    return (await store.writeVersion(parts())).version?.name ?? '';
  }

  async function query(sql: string, version?: string, maxRows = 0n): Promise<Map<string, unknown[]>> {
    const inputs = version === undefined ? [] : [{ alias: 'input', version }];
    const columns = new Map<string, unknown[]>();
    for await (const { arrowIpc } of engine.query({ inputs, sql, maxRows })) {
      for (const batch of decodeArrow(arrowIpc).batches) {
        for (const { name, values, valid } of batch.columns) {
          const items = Array.from(values as Iterable<unknown>, (value, row) =>
            valid?.[row] === 0 ? null : value,
          );
          columns.set(name, [...(columns.get(name) ?? []), ...items]);
        }
      }
    }
    return columns;
  }

  it('gives every kind of column back through SQL, missing values too', async () => {
    const columns = [
      column('big', DataType.INT64, BigInt64Array.of(2n ** 62n, -1n)),
      column('byte', DataType.UINT8, Uint8Array.of(255, 0)),
      { ...column('real', DataType.FLOAT32, Float32Array.of(0.5, -2)), valid: Uint8Array.of(1, 0) },
      column('flag', DataType.BOOL, Uint8Array.of(1, 0)),
      { ...column('word', DataType.STRING, ["it's", '数字']), valid: Uint8Array.of(1, 1) },
      column('raw', DataType.BINARY, [Uint8Array.of(1, 2), new Uint8Array()]),
      column('time', DataType.TIMESTAMP, BigInt64Array.of(1_700_000_000_000_000n, 0n)),
      { ...column('image', DataType.UINT8, Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8)), shape: [2, 2] },
    ];
    const answer = await query('SELECT * FROM input', await write('d', columns, 2));
    assert.deepEqual(answer.get('big'), [2n ** 62n, -1n]);
    assert.deepEqual(answer.get('byte'), [255, 0]);
    assert.deepEqual(answer.get('real'), [0.5, null]);
    assert.deepEqual(answer.get('flag'), [1, 0]);
    assert.deepEqual(answer.get('word'), ["it's", '数字']);
    assert.deepEqual(
      answer.get('raw')?.map((bytes) => [...(bytes as Uint8Array)]),
      [[1, 2], []],
    );
    assert.deepEqual(answer.get('time'), [1_700_000_000_000_000n, 0n]);
    assert.deepEqual(answer.get('image'), [1, 2, 3, 4, 5, 6, 7, 8]);
  });

  it('stores the result of a plan as a version with its parents and its step', async () => {
    const parent = await write('d', [column('id', DataType.INT32, Int32Array.of(1, 2, 3))], 3);
    const [last] = await collected(
      engine.run({
        inputs: [{ alias: 'input', version: parent }],
        sql: 'SELECT id * 2 AS twice FROM input WHERE id > 1 -- only some',
        outputDataset: 'twice',
      }),
    );
    assert.equal(last?.rows, 2n);
    assert.deepEqual(last?.version?.parents, [parent]);
    assert.equal(last?.version?.step?.name, 'sql');
    const answer = await query('SELECT * FROM input', last?.version?.name);
    assert.deepEqual(answer.get('twice'), [4, 6]);
  });

  it('turns pixels into numbers of the same shape', async () => {
    const image = { ...column('image', DataType.UINT8, Uint8Array.of(0, 51, 102, 255)), shape: [2, 2] };
    const name = await write('d', [image], 1);
    const sql = 'SELECT list_transform(image, x -> x / 255)::FLOAT[4] AS image FROM input';
    const answer = await query(sql, name);
    assert.deepEqual(
      answer.get('image')?.map((value) => Math.round(Number(value) * 5)),
      [0, 1, 2, 5],
    );
    const { schema } = await engine.describe({ inputs: [{ alias: 'input', version: name }], sql });
    assert.deepEqual(
      schema?.fields.map(({ type, shape }) => [type, shape]),
      [[DataType.FLOAT32, [2n, 2n]]],
    );
  });

  it('answers with the columns even when there are no rows', async () => {
    const answer = await query('SELECT 1 AS a WHERE false');
    assert.deepEqual([...answer], [['a', []]]);
  });

  it('gives no more rows than asked for, whatever the plan says', async () => {
    assert.equal((await query('SELECT 1 AS a FROM range(5000)', undefined, 3n)).get('a')?.length, 3);
    await assert.rejects(query('SELECT 1 AS a) UNION ALL (SELECT 2', undefined, 1n), reason('SQL_INVALID'));
  });

  it('refuses what does more than read the inputs', async () => {
    const file = path.join(host.storage.directory, 'secret.csv');
    await writeFile(file, 'a\n1\n');
    const written = path.join(host.storage.directory, 'written.csv');
    for (const sql of [
      `SELECT * FROM read_csv('${file}')`,
      `SELECT * FROM '${file}'`,
      `SELECT * FROM read_text('${file}')`,
      `SELECT * FROM glob('${host.storage.directory}/*')`,
      `COPY (SELECT 1) TO '${written}'`,
      `ATTACH '${written}' AS other`,
      'INSTALL httpfs',
      'SET enable_external_access = true',
      'CREATE TABLE t (a INTEGER)',
      'SELECT 1; SELECT 2',
      'SELECT 1) ; DROP TABLE version_1; SELECT * FROM (SELECT 1',
      '',
      'SELEC 1',
      'SELECT * FROM nowhere',
    ]) {
      await assert.rejects(query(sql), reason('SQL_INVALID'), sql);
    }
    await assert.rejects(access(written));
  });

  it("passes on DuckDB's sentence", async () => {
    await assert.rejects(query('SELECT nope FROM (SELECT 1 AS a)'), /cannot be run: Binder Error: .*nope/);
    await assert.rejects(
      query('SELECT 1::DECIMAL(9, 2) AS price'),
      /'price' has type DECIMAL\(9,2\).*cast it/,
    );
  });

  it('stops a plan that takes too long, and goes on with the next', async () => {
    await host.close();
    await open({ ...CONFIG, queryTimeoutMs: 100 });
    const endless = 'SELECT count(*)::BIGINT AS n FROM range(100000000000) a, range(1000) b';
    await assert.rejects(query(endless), reason('QUERY_TIMED_OUT'));
    assert.deepEqual((await query('SELECT 1 AS a')).get('a'), [1]);
  });

  it('stops a plan when its caller goes away', async () => {
    const controller = new AbortController();
    const endless = 'SELECT count(*)::BIGINT AS n FROM range(100000000000) a, range(1000) b';
    const answers = collected(engine.query({ sql: endless }, { signal: controller.signal }));
    setImmediate(() => controller.abort(new Error('gone')));
    await assert.rejects(answers, /gone/);
  });

  it('says what to do when a plan does not fit its memory', async () => {
    const sql = "SELECT string_agg(repeat('x', 1000), '') AS a FROM range(1000000)";
    await assert.rejects(query(sql), reason('ENGINE_OUT_OF_MEMORY'));
  });

  it('keeps few tables loaded and loads a version again when it is needed', async () => {
    const names = [];
    for (let id = 0; id < 4; id += 1)
      names.push(await write('d', [column('id', DataType.INT32, Int32Array.of(id))], 1));
    for (const [id, name] of [...names.entries(), ...names.entries()]) {
      assert.deepEqual((await query('SELECT id FROM input', name)).get('id'), [id]);
    }
    await assert.rejects(
      query('SELECT id FROM input', 'datasets/d/versions/none'),
      reason('DATASET_VERSION_NOT_FOUND'),
    );
  });

  it('keeps rows and leaves the plan open for nobody when the result cannot be stored', async () => {
    const run = engine.run({
      inputs: [],
      sql: 'SELECT 1 AS a FROM range(100000)',
      outputDataset: 'not a name',
    });
    await assert.rejects(collected(run), reason('WRITE_INVALID'));
    assert.deepEqual((await query('SELECT 1 AS a')).get('a'), [1]);
  });
});
