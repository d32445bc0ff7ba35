import type { RegistryService } from 'lamella/proto/lamella/model/v1/registry_service';
import type { ServiceImplementation } from 'lamella/sdk';
import type { Registry } from './registry.ts';

/** RegistryService over a registry. */
export function registryService(registry: Registry): ServiceImplementation<typeof RegistryService> {
  return {
    createVersion: async (requests) => ({ version: await registry.create(requests) }),
    getVersion: ({ name }) => ({ version: registry.version(name) }),
    getModel: ({ name }) => ({ model: registry.model(name) }),
    listModels: (request) => {
      const { items, nextPageToken } = registry.listModels(request);
      return { models: [...items], nextPageToken };
    },
    listVersions: (request) => {
      const { items, nextPageToken } = registry.listVersions(request.parent, request);
      return { versions: [...items], nextPageToken };
    },
    setAlias: async (request) => ({ model: await registry.setAlias(request) }),
    deleteAlias: async ({ name }) => ({ model: await registry.deleteAlias(name) }),
    deleteVersion: async ({ name, force }) => {
      await registry.deleteVersion(name, force);
      return {};
    },
    async *readArtifact({ name }) {
      const version = registry.version(name);
      let isFirst = true;
      for await (const chunk of registry.read(version)) {
        yield isFirst ? { chunk, version } : { chunk };
        isFirst = false;
      }
    },
    watchModels: ({ names }, { signal }) => registry.watch(names, signal),
  };
}
