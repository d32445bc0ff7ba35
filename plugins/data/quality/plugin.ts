import { EngineService } from 'lamella/proto/lamella/data/v1/engine_service';
import { QualityService } from 'lamella/proto/lamella/data/v1/quality_service';
import { StoreService } from 'lamella/proto/lamella/data/v1/store_service';
import { definePlugin, type Plugin } from 'lamella/sdk';
import { type QualityConfig, QualityConfigSchema } from './config.ts';
import { Inspector } from './inspector.ts';
import { qualityService } from './service.ts';

const plugin: Plugin<QualityConfig> = definePlugin({
  config: QualityConfigSchema,
  start(host) {
    const parts = { store: host.call(StoreService), engine: host.call(EngineService) };
    host.serve(QualityService, qualityService(new Inspector(parts)));
  },
});
export default plugin;
