import { timestampMs } from '@bufbuild/protobuf/wkt';
import type { DatasetVersion } from 'lamella/proto/lamella/data/v1/dataset';
import type { StoreService } from 'lamella/proto/lamella/data/v1/store_service';
import { type ServiceImplementation, pageOf } from 'lamella/sdk';
import type { Store } from './store.ts';

/** StoreService over a store. */
export function createStoreService(store: Store): ServiceImplementation<typeof StoreService> {
  const { catalogue } = store;
  return {
    writeVersion: async (requests) => ({ version: await store.write(requests) }),
    async *readVersion({ name, columns, offset, limit }) {
      const range = { columns, offset: Number(offset), limit: Number(limit) };
      for await (const arrowIpc of store.read(name, range)) yield { arrowIpc };
    },
    getVersion: async ({ name }) => ({ version: await catalogue.get(name) }),
    listDatasets: async (request) => {
      const { items, nextPageToken } = pageOf(await catalogue.datasets(), ({ name }) => name, request);
      return { datasets: items, nextPageToken };
    },
    listVersions: async (request) => {
      const versions = await catalogue.versions(request.parent.replace(/^datasets\//, ''));
      const { items, nextPageToken } = pageOf(versions, oldestFirst, request);
      return { versions: items, nextPageToken };
    },
    deleteVersion: async ({ name, force }) => {
      await store.delete(name, force);
      return {};
    },
    getLineage: async ({ name, depth }) => ({ versions: await store.lineage(name, depth) }),
  };
}

/** Ascending order of this key is the order in which versions were made. */
function oldestFirst({ createTime, name }: DatasetVersion): string {
  const timeMs = createTime === undefined ? 0 : timestampMs(createTime);
  return `${String(timeMs).padStart(15, '0')} ${name}`;
}
