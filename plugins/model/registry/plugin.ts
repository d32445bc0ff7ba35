import { RegistryService } from 'lamella/proto/lamella/model/v1/registry_service';
import { definePlugin, type Plugin } from 'lamella/sdk';
import { Catalogue } from './catalogue.ts';
import { type RegistryConfig, RegistryConfigSchema } from './config.ts';
import { ObjectStore } from './object-store.ts';
import { Registry } from './registry.ts';
import { registryService } from './service.ts';

const plugin: Plugin<RegistryConfig> = definePlugin({
  config: RegistryConfigSchema,
  async start(host) {
    const { config, clock, storage } = host;
    const catalogue = await Catalogue.open(storage);
    const objects = new ObjectStore(storage.directory);
    await objects.open(catalogue.digests());
    host.serve(
      RegistryService,
      registryService(new Registry({ catalogue, objects, clock, maxArtifactBytes: config.maxArtifactBytes })),
    );
  },
});
export default plugin;
