import assert from 'node:assert/strict';
import { DataType, type DatasetVersion } from 'lamella/proto/lamella/data/v1/dataset';
import { EngineService } from 'lamella/proto/lamella/data/v1/engine_service';
import { StoreService } from 'lamella/proto/lamella/data/v1/store_service';
import type { Client } from 'lamella/sdk';
import { decodeArrow } from 'lamella/sdk/arrow';
import type { EngineConfig } from '../../../plugins/data/engine/config.ts';
import enginePlugin from '../../../plugins/data/engine/plugin.ts';
import type { StoreConfig } from '../../../plugins/data/store/config.ts';
import storePlugin from '../../../plugins/data/store/plugin.ts';
import { FakeHost } from '../../support/fake-host.ts';

const CONFIG: EngineConfig = { memoryMib: 256, threads: 1, queryTimeoutMs: 20_000, cachedTables: 1 };
const PIXELS = 'SELECT [1, 2, 3, 4]::UTINYINT[4] AS image';

describe('what the engine gives out', () => {
  let storeHost: FakeHost<StoreConfig>;
  let host: FakeHost<EngineConfig>;
  let engine: Client<typeof EngineService>;

  beforeEach(async () => {
    storeHost = await new FakeHost<StoreConfig>({ config: { maxBatchBytes: 33_554_432 } }).start(storePlugin);
    host = new FakeHost<EngineConfig>({ config: CONFIG });
    host.provide(StoreService, storeHost.implementation(StoreService));
    engine = (await host.start(enginePlugin)).client(EngineService);
  });
  afterEach(async () => {
    await host.close();
    await storeHost.close();
  });

  async function count(rows: number, maxRows: bigint): Promise<number> {
    let found = 0;
    for await (const { arrowIpc } of engine.query({ sql: `SELECT 1 AS a FROM range(${rows})`, maxRows })) {
      for (const batch of decodeArrow(arrowIpc).batches) found += batch.rowCount;
    }
    return found;
  }

  /** Shape of the column that a plan stores, with a field of this shape asked for. */
  async function stored(
    shape: readonly bigint[],
    { sql = PIXELS, from }: { readonly sql?: string; readonly from?: string } = {},
  ): Promise<DatasetVersion> {
    const outputSchema = { fields: [{ name: 'image', type: DataType.UINT8, shape: [...shape] }] };
    const inputs = from === undefined ? [] : [{ alias: 'input', version: from }];
    let version: DatasetVersion | undefined;
    const request = { inputs, sql, outputDataset: 'out', outputSchema };
    for await (const answer of engine.run(request)) version = answer.version ?? version;
    assert.ok(version !== undefined);
    return version;
  }

  it('is all rows when no number is asked for, however many', async () => {
    assert.equal(await count(150_001, 0n), 150_001);
    assert.equal(await count(150_001, 120_000n), 120_000);
    assert.equal(await count(10, 2n ** 63n - 1n), 10);
  });

  it('has the shape that the caller gives a column, which the store keeps', async () => {
    const version = await stored([1n, 2n, 2n]);
    assert.deepEqual(version.schema?.fields[0]?.shape, [1n, 2n, 2n]);
    const again = await stored([2n, 2n], { sql: 'SELECT image FROM input', from: version.name });
    assert.deepEqual(again.schema?.fields[0]?.shape, [2n, 2n]);
  });

  it('keeps the shape of the input when the caller gives none', async () => {
    const version = await stored([2n, 2n]);
    const again = await stored([], { sql: 'SELECT image FROM input', from: version.name });
    assert.deepEqual(again.schema?.fields[0]?.shape, [2n, 2n]);
  });

  it('falls back to the width of a row when a shape does not fit it', async () => {
    assert.deepEqual((await stored([3n, 3n])).schema?.fields[0]?.shape, [4n]);
  });
});
