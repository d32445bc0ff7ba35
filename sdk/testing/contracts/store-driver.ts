import assert from 'node:assert/strict';
import { DataType } from '../../../proto/gen/lamella/data/v1/dataset_pb.ts';
import type { StoreDriverService } from '../../../proto/gen/lamella/data/v1/store_driver_service_pb.ts';
import { decodeArrow, encodeArrow } from '../../arrow/index.ts';
import type { Client } from '../../service.ts';

/** A driver under test. */
export interface StoreDriverSubject {
  /** Client of the driver, over whatever transport. */
  readonly driver: Client<typeof StoreDriverService>;
  /** Releases the driver; what it has committed stays. */
  close(): Promise<void>;
}

/** Opens a driver on the storage of the current test; opened again, it finds what was committed before. */
export type OpenStoreDriver = () => Promise<StoreDriverSubject>;

/**
 * Cases that every implementation of StoreDriverService must pass. Call it in a mocha test file of the driver.
 *
 * @param name - What the driver is called in the test report.
 * @param open - Opens the driver; give each test a storage of its own in a `beforeEach`.
 */
export function storeDriverContract(name: string, open: OpenStoreDriver): void {
  describe(`${name} as a store driver`, () => {
    let subject: StoreDriverSubject;
    beforeEach(async () => {
      subject = await open();
    });
    afterEach(async () => subject.close());
    const driver = (): Client<typeof StoreDriverService> => subject.driver;

    it('gives rows back in the order in which they were written', async () => {
      await write(driver(), 'w', [rows(0, 3), rows(3, 5)]);
      const answer = await driver().commitWrite({ writeId: 'w', versionId: 'd/1' });
      assert.equal(answer.rowCount, 5n);
      assert.deepEqual(await idsOf(driver(), 'd/1'), [0, 1, 2, 3, 4]);
    });

    it('gives a part of the rows and of the columns', async () => {
      await write(driver(), 'w', [rows(0, 3), rows(3, 6)]);
      await driver().commitWrite({ writeId: 'w', versionId: 'd/1' });
      assert.deepEqual(await idsOf(driver(), 'd/1', { offset: 2n, limit: 2n, columns: ['id'] }), [2, 3]);
      assert.deepEqual(await idsOf(driver(), 'd/1', { offset: 9n }), []);
    });

    it('shows nothing of a write before its commit', async () => {
      await write(driver(), 'w', [rows(0, 3)]);
      await assert.rejects(idsOf(driver(), 'd/1'));
      assert.deepEqual((await driver().listStored({})).versionIds, []);
    });

    it('keeps nothing of a write that was aborted', async () => {
      await write(driver(), 'w', [rows(0, 3)]);
      await driver().abortWrite({ writeId: 'w' });
      await assert.rejects(driver().commitWrite({ writeId: 'w', versionId: 'd/1' }));
      await driver().abortWrite({ writeId: 'w' });
      assert.deepEqual((await driver().listStored({})).versionIds, []);
    });

    it('keeps committed rows over a restart', async () => {
      await write(driver(), 'w', [rows(0, 3)]);
      await driver().commitWrite({ writeId: 'w', versionId: 'd/1' });
      await subject.close();
      subject = await open();
      assert.deepEqual(await idsOf(driver(), 'd/1'), [0, 1, 2]);
    });

    it('keeps writes that run side by side apart', async () => {
      await Promise.all([write(driver(), 'a', [rows(0, 2)]), write(driver(), 'b', [rows(10, 12)])]);
      await driver().commitWrite({ writeId: 'b', versionId: 'd/b' });
      await driver().commitWrite({ writeId: 'a', versionId: 'd/a' });
      assert.deepEqual(await idsOf(driver(), 'd/a'), [0, 1]);
      assert.deepEqual(await idsOf(driver(), 'd/b'), [10, 11]);
    });

    it('keeps a version without rows', async () => {
      await driver().openWrite({ writeId: 'w' });
      assert.equal((await driver().commitWrite({ writeId: 'w', versionId: 'd/0' })).rowCount, 0n);
      assert.deepEqual(await idsOf(driver(), 'd/0'), []);
    });

    it('removes a version, and says so when it is asked for again', async () => {
      await write(driver(), 'w', [rows(0, 3)]);
      await driver().commitWrite({ writeId: 'w', versionId: 'd/1' });
      await driver().deleteRows({ versionId: 'd/1' });
      await assert.rejects(idsOf(driver(), 'd/1'));
      assert.deepEqual((await driver().listStored({})).versionIds, []);
    });

    it('refuses bytes that are not Arrow and keeps the write usable', async () => {
      await write(driver(), 'w', [rows(0, 1)]);
      await assert.rejects(append(driver(), 'w', [Uint8Array.of(1, 2, 3)]));
      await append(driver(), 'w', [rows(1, 2)]);
      await driver().commitWrite({ writeId: 'w', versionId: 'd/1' });
      assert.deepEqual(await idsOf(driver(), 'd/1'), [0, 1]);
    });

    it('lists versions page by page', async () => {
      for (const id of ['a', 'b', 'c']) {
        await driver().openWrite({ writeId: id });
        await driver().commitWrite({ writeId: id, versionId: `d/${id}` });
      }
      const first = await driver().listStored({ pageSize: 2 });
      const second = await driver().listStored({ pageSize: 2, pageToken: first.nextPageToken });
      assert.deepEqual([...first.versionIds, ...second.versionIds].toSorted(), ['d/a', 'd/b', 'd/c']);
      assert.equal(second.nextPageToken, '');
    });
  });
}

type Driver = Client<typeof StoreDriverService>;

/** A batch with the ids `from` to `to` (not included). */
function rows(from: number, to: number): Uint8Array {
  const ids = Int32Array.from({ length: to - from }, (_, index) => from + index);
  return encodeArrow({
    rowCount: ids.length,
    columns: [
      { name: 'id', type: DataType.INT32, shape: [], values: ids },
      { name: 'image', type: DataType.UINT8, shape: [2, 2], values: new Uint8Array(ids.length * 4) },
    ],
  });
}

async function write(driver: Driver, writeId: string, batches: readonly Uint8Array[]): Promise<void> {
  await driver.openWrite({ writeId });
  await append(driver, writeId, batches);
}

async function append(driver: Driver, writeId: string, batches: readonly Uint8Array[]): Promise<void> {
  await driver.appendRows(
    (async function* () {
      yield { part: { case: 'writeId' as const, value: writeId } };
      for (const value of batches) yield { part: { case: 'arrowIpc' as const, value } };
    })(),
  );
}

async function idsOf(
  driver: Driver,
  versionId: string,
  range: { readonly offset?: bigint; readonly limit?: bigint; readonly columns?: string[] } = {},
): Promise<number[]> {
  const ids: number[] = [];
  for await (const { arrowIpc } of driver.readRows({ versionId, ...range })) {
    for (const { columns } of decodeArrow(arrowIpc).batches) {
      if (range.columns !== undefined)
        assert.deepEqual(
          columns.map(({ name }) => name),
          range.columns,
        );
      ids.push(...(columns.find(({ name }) => name === 'id')?.values as Int32Array));
    }
  }
  return ids;
}
