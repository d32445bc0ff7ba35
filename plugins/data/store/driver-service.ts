import type { StoreDriverService } from 'lamella/proto/lamella/data/v1/store_driver_service';
import { type ServiceImplementation, pageOf } from 'lamella/sdk';
import type { StoredRows, StoreDriver } from './driver.ts';
import { WriteInvalid } from './errors.ts';

/** A driver as the extension point other stores and tools call. */
export function createStoreDriverService(
  driver: StoreDriver,
): ServiceImplementation<typeof StoreDriverService> {
  return {
    openWrite: async ({ writeId }) => {
      await driver.openWrite(writeId);
      return {};
    },
    appendRows: async (requests) => {
      let writeId: string | undefined;
      let total: StoredRows = { rowCount: 0, sizeBytes: 0 };
      for await (const { part } of requests) {
        if (part.case === 'writeId') writeId = part.value;
        else if (part.case === 'arrowIpc' && writeId !== undefined)
          total = await driver.append(writeId, part.value);
        else throw new WriteInvalid({ problem: 'the first message must be the write id, then arrow_ipc' });
      }
      return toProto(total);
    },
    commitWrite: async ({ writeId, versionId }) => toProto(await driver.commit(writeId, versionId)),
    abortWrite: async ({ writeId }) => {
      await driver.abort(writeId);
      return {};
    },
    async *readRows({ versionId, columns, offset, limit }) {
      const range = { columns, offset: Number(offset), limit: Number(limit) };
      for await (const arrowIpc of driver.read(versionId, range)) yield { arrowIpc };
    },
    deleteRows: async ({ versionId }) => {
      await driver.delete(versionId);
      return {};
    },
    listStored: async (request) => {
      const ids: string[] = [];
      for await (const id of driver.list()) ids.push(id);
      const { items, nextPageToken } = pageOf(ids, (id) => id, request);
      return { versionIds: items, nextPageToken };
    },
  };
}

function toProto({ rowCount, sizeBytes }: StoredRows): { rowCount: bigint; sizeBytes: bigint } {
  return { rowCount: BigInt(rowCount), sizeBytes: BigInt(sizeBytes) };
}
