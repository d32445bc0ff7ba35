import { CleanService } from 'lamella/proto/lamella/data/v1/clean_service';
import { EngineService } from 'lamella/proto/lamella/data/v1/engine_service';
import { StoreService } from 'lamella/proto/lamella/data/v1/store_service';
import { definePlugin, type Plugin } from 'lamella/sdk';
import { Cleaner } from './cleaner.ts';
import { type CleanConfig, CleanConfigSchema } from './config.ts';
import { cleanService } from './service.ts';

const plugin: Plugin<CleanConfig> = definePlugin({
  config: CleanConfigSchema,
  start(host) {
    const parts = { store: host.call(StoreService), engine: host.call(EngineService) };
    host.serve(CleanService, cleanService(new Cleaner(parts)));
  },
});
export default plugin;
