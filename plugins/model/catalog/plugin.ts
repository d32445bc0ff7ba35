import { CatalogService } from 'lamella/proto/lamella/model/v1/catalog_service';
import { definePlugin, type Plugin } from 'lamella/sdk';
import { Catalog } from './catalog.ts';
import { type CatalogConfig, CatalogConfigSchema } from './config.ts';
import { catalogService } from './service.ts';

const plugin: Plugin<CatalogConfig> = definePlugin({
  config: CatalogConfigSchema,
  start(host) {
    host.serve(CatalogService, catalogService(new Catalog(host.config)));
  },
});
export default plugin;
