import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { DataType } from 'lamella/proto/lamella/data/v1/dataset';
import { StoreDriverService } from 'lamella/proto/lamella/data/v1/store_driver_service';
import {
  StoreService,
  type WriteVersionHeaderSchema,
  type WriteVersionRequestSchema,
} from 'lamella/proto/lamella/data/v1/store_service';
import { type Client, isDeclaredError } from 'lamella/sdk';
import { type Column, decodeArrow, encodeArrow } from 'lamella/sdk/arrow';
import type { StoreConfig } from '../../../plugins/data/store/config.ts';
import { createStoreDriverService } from '../../../plugins/data/store/driver-service.ts';
import { LmdbDriver } from '../../../plugins/data/store/lmdb-driver.ts';
import plugin from '../../../plugins/data/store/plugin.ts';
import { storeDriverContract } from '../../../sdk/testing/contracts/store-driver.ts';
import { clientOf, FakeHost } from '../../support/fake-host.ts';

type Header = MessageInitShape<typeof WriteVersionHeaderSchema>;
type Part = MessageInitShape<typeof WriteVersionRequestSchema>;

function reason(expected: string): (error: unknown) => boolean {
  return (error) => {
    assert.equal(isDeclaredError(error) ? error.reason : error, expected);
    return true;
  };
}

function rows(ids: readonly number[], extra: readonly Column[] = []): Uint8Array {
  const id: Column = { name: 'id', type: DataType.INT32, shape: [], values: Int32Array.from(ids) };
  return encodeArrow({ rowCount: ids.length, columns: [id, ...extra] });
}

async function* parts(header: Header | undefined, batches: readonly Uint8Array[]): AsyncGenerator<Part> {
  if (header !== undefined) yield { part: { case: 'header', value: header } };
  for (const value of batches) yield { part: { case: 'arrowIpc', value } };
}

describe('the store', () => {
  let host: FakeHost<StoreConfig>;
  let store: Client<typeof StoreService>;

  beforeEach(async () => {
    host = new FakeHost<StoreConfig>({ config: { maxBatchBytes: 16 * 1024 * 1024 }, nowMs: 1_000 });
    store = (await host.start(plugin)).client(StoreService);
  });
  afterEach(async () => host.close());

  async function write(header: Header, ...batches: readonly Uint8Array[]): Promise<string> {
    const { version } = await store.writeVersion(parts(header, batches));
    return version?.name ?? '';
  }

  async function read(
    name: string,
    range: { offset?: bigint; limit?: bigint; columns?: string[] } = {},
  ): Promise<number[]> {
    const ids: number[] = [];
    for await (const { arrowIpc } of store.readVersion({ name, ...range })) {
      for (const { columns } of decodeArrow(arrowIpc).batches)
        ids.push(...(columns[0]?.values as Int32Array));
    }
    return ids;
  }

  it('gives a version back as it was written', async () => {
    const name = await write({ dataset: 'd', step: { name: 'collect.csv' } }, rows([1, 2]), rows([3]));
    const { version } = await store.getVersion({ name });
    assert.equal(version?.rowCount, 3n);
    assert.deepEqual(
      version?.schema?.fields.map((field) => field.name),
      ['id'],
    );
    assert.deepEqual(await read(name), [1, 2, 3]);
    assert.deepEqual(await read(name, { offset: 1n, limit: 1n }), [2]);
  });

  it('cuts a large batch into pieces of a few megabytes', async () => {
    const image = {
      name: 'image',
      type: DataType.UINT8,
      shape: [1_000_000],
      values: new Uint8Array(12_000_000),
    };
    const name = await write(
      { dataset: 'd' },
      rows(
        Array.from({ length: 12 }, (_, row) => row),
        [image],
      ),
    );
    const sizes: number[] = [];
    for await (const { arrowIpc } of store.readVersion({ name })) sizes.push(arrowIpc.byteLength);
    assert.equal(sizes.length, 3);
    assert.ok(Math.max(...sizes) < 5_000_000);
    assert.equal((await read(name)).length, 12);
  });

  it('returns the version that is there when the same content or the same request comes again', async () => {
    const name = await write({ dataset: 'd', requestId: 'r' }, rows([1]));
    assert.equal(await write({ dataset: 'd' }, rows([1])), name);
    assert.equal(await write({ dataset: 'd', requestId: 'r' }, rows([99])), name);
    assert.notEqual(await write({ dataset: 'e', requestId: 'r' }, rows([1])), name);
  });

  it('names what was made from parents by step and arguments, whatever their order', async () => {
    const parent = await write({ dataset: 'd' }, rows([1]));
    const step = (given: Record<string, number>): Header => ({
      dataset: 'd',
      parents: [parent],
      step: { name: 'clip', arguments: given },
    });
    const name = await write(step({ low: 0, high: 9 }), rows([1]));
    assert.equal(await write(step({ high: 9, low: 0 }), rows([1])), name);
    assert.notEqual(await write(step({ high: 8, low: 0 }), rows([1])), name);
    const { versions } = await store.getLineage({ name });
    assert.deepEqual(
      versions.map((version) => version.name),
      [name, parent],
    );
  });

  it('makes one version of two equal writes that run side by side', async () => {
    const [first, second] = await Promise.all([
      write({ dataset: 'd' }, rows([1])),
      write({ dataset: 'd' }, rows([1])),
    ]);
    assert.equal(first, second);
    assert.deepEqual(await read(first ?? ''), [1]);
    assert.equal((await store.listVersions({ parent: 'datasets/d' })).versions.length, 1);
  });

  it('finds the newest version even when the clock has not moved', async () => {
    for (let id = 0; id < 8; id += 1) {
      const name = await write({ dataset: 'd' }, rows([id]));
      assert.equal((await store.getVersion({ name: 'datasets/d/versions/latest' })).version?.name, name);
    }
  });

  it('lists datasets and versions page by page', async () => {
    for (let id = 0; id < 3; id += 1) await write({ dataset: `d${id}` }, rows([id]));
    const first = await store.listDatasets({ pageSize: 2 });
    const second = await store.listDatasets({ pageSize: 2, pageToken: first.nextPageToken });
    assert.deepEqual(
      [...first.datasets, ...second.datasets].map(({ name }) => name),
      ['datasets/d0', 'datasets/d1', 'datasets/d2'],
    );
    await assert.rejects(store.listDatasets({ pageToken: 'elsewhere' }), reason('PAGE_INVALID'));
  });

  it('deletes a version only when nothing was made from it, unless forced', async () => {
    const parent = await write({ dataset: 'd', requestId: 'r' }, rows([1]));
    const child = await write({ dataset: 'e', parents: [parent] }, rows([1]));
    await assert.rejects(store.deleteVersion({ name: parent }), reason('DATASET_VERSION_IN_USE'));
    await store.deleteVersion({ name: parent, force: true });
    await assert.rejects(read(parent), reason('DATASET_VERSION_NOT_FOUND'));
    assert.deepEqual(
      (await store.getLineage({ name: child })).versions.map(({ name }) => name),
      [child],
    );
    // The request id leads nowhere now, so that the same request writes again.
    assert.deepEqual(await read(await write({ dataset: 'd', requestId: 'r' }, rows([1]))), [1]);
  });

  it('refuses what does not follow the protocol and keeps nothing of it', async () => {
    const other: Column = { name: 'x', type: DataType.INT8, shape: [], values: Int8Array.of(1) };
    const cases: readonly (readonly [AsyncGenerator<Part>, string])[] = [
      [parts(undefined, [rows([1])]), 'WRITE_INVALID'],
      [parts({ dataset: '../up' }, [rows([1])]), 'WRITE_INVALID'],
      [parts({ dataset: 'd' }, []), 'WRITE_INVALID'],
      [parts({ dataset: 'd' }, [rows([1]), rows([2], [other])]), 'WRITE_INVALID'],
      [parts({ dataset: 'd' }, [new Uint8Array(17_000_000)]), 'WRITE_INVALID'],
      [parts({ dataset: 'd' }, [rows([1]), Uint8Array.of(1, 2, 3, 4, 5)]), 'ARROW_INVALID'],
      [parts({ dataset: 'd', driver: 'tape' }, [rows([1])]), 'DRIVER_UNKNOWN'],
      [parts({ dataset: 'd', parents: ['datasets/x/versions/y'] }, [rows([1])]), 'DATASET_VERSION_NOT_FOUND'],
    ];
    for (const [requests, expected] of cases)
      await assert.rejects(store.writeVersion(requests), reason(expected));
    assert.deepEqual((await store.listDatasets({})).datasets, []);
    const driver = host.client(StoreDriverService);
    assert.deepEqual((await driver.listStored({})).versionIds, []);
  });

  it('keeps nothing of a writer that goes away half-way', async () => {
    async function* broken(): AsyncGenerator<Part> {
      yield* parts({ dataset: 'd' }, [rows([1])]);
      throw new Error('the caller is gone');
    }
    await assert.rejects(store.writeVersion(broken()), /the caller is gone/);
    assert.deepEqual((await store.listVersions({ parent: 'datasets/d' })).versions, []);
  });

  it('keeps nothing when the catalogue cannot be written', async () => {
    host.storage.beforeWrite = (key) => {
      if (key.startsWith('version/')) throw new Error('the disk is full');
    };
    await assert.rejects(write({ dataset: 'd' }, rows([1])), /the disk is full/);
    assert.deepEqual((await host.client(StoreDriverService).listStored({})).versionIds, []);
    host.storage.beforeWrite = () => undefined;
    assert.deepEqual(await read(await write({ dataset: 'd' }, rows([1]))), [1]);
  });

  it('removes rows at start whose writer was killed before the catalogue knew them', async () => {
    const name = await write({ dataset: 'd' }, rows([1]));
    const id = name.replace('datasets/', '').replace('/versions', '');
    await host.storage.delete(`version/${id}`);
    await host.storage.put(`doubt/${id}`, { processId: 0, timeMs: -4_000_000 });
    assert.deepEqual((await host.client(StoreDriverService).listStored({})).versionIds, [id]);
    await host.start(plugin);
    assert.deepEqual((await host.client(StoreDriverService).listStored({})).versionIds, []);
  });

  it('says which columns there are when asked for another', async () => {
    const name = await write({ dataset: 'd' }, rows([1]));
    await assert.rejects(read(name, { columns: ['nope'] }), /has no column 'nope'; it has id/);
  });
});

describe('the lmdb driver', () => {
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(path.join(tmpdir(), 'lamella-rows-'));
  });
  afterEach(async () => rm(directory, { recursive: true, force: true }));

  storeDriverContract('lmdb', async () => {
    const driver = await LmdbDriver.open(directory);
    return {
      driver: clientOf(StoreDriverService, createStoreDriverService(driver)),
      close: async () => driver.close(),
    };
  });

  async function killWriter(until: string): Promise<void> {
    const script = fileURLToPath(new URL('store-writer.js', import.meta.url));
    const child = spawn(process.execPath, [script, directory, until], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(child.stdout, 'data');
    child.kill('SIGKILL');
    await once(child, 'exit');
  }

  it('shows nothing of a writer that was killed, and sweeps its rows at the next start', async () => {
    await killWriter('open');
    const driver = await LmdbDriver.open(directory);
    const left: string[] = [];
    for await (const id of driver.list()) left.push(id);
    assert.deepEqual(left, []);
    assert.equal(driver.keyCount(), 0);
    await driver.close();
  });

  it('keeps what was committed when the writer is killed right after', async () => {
    await killWriter('committed');
    const driver = await LmdbDriver.open(directory);
    const read: number[] = [];
    for await (const bytes of driver.read('d/1', { columns: [], offset: 0, limit: 0 })) {
      for (const { columns } of decodeArrow(bytes).batches) read.push(...(columns[0]?.values as Int32Array));
    }
    assert.deepEqual(read, [1, 2, 3]);
    await driver.close();
  });
});
