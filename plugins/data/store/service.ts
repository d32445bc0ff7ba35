import type { StoreService } from 'lamella/proto/lamella/data/v1/store_service';
import type { ServiceImplementation } from 'lamella/sdk';
import { page } from './page.ts';
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
      const { items, nextPageToken } = page(await catalogue.datasets(), request);
      return { datasets: items, nextPageToken };
    },
    listVersions: async (request) => {
      const versions = await catalogue.versions(request.parent.replace(/^datasets\//, ''));
      const { items, nextPageToken } = page(versions, request);
      return { versions: items, nextPageToken };
    },
    deleteVersion: async ({ name, force }) => {
      await store.delete(name, force);
      return {};
    },
    getLineage: async ({ name, depth }) => ({ versions: await store.lineage(name, depth) }),
  };
}
