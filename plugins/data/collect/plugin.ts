import { CollectService } from 'lamella/proto/lamella/data/v1/collect_service';
import { StoreService } from 'lamella/proto/lamella/data/v1/store_service';
import { definePlugin, type Plugin } from 'lamella/sdk';
import { type CollectConfig, CollectConfigSchema } from './config.ts';
import { createCollectService } from './service.ts';

const plugin: Plugin<CollectConfig> = definePlugin({
  config: CollectConfigSchema,
  start(host) {
    const { maxLineBytes } = host.config as CollectConfig;
    host.serve(
      CollectService,
      createCollectService({ store: host.call(StoreService), maxLineBytes, packagesFrom: __dirname }),
    );
  },
});
export default plugin;
