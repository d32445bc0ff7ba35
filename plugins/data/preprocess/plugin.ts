import { EngineService } from 'lamella/proto/lamella/data/v1/engine_service';
import { PreprocessService } from 'lamella/proto/lamella/data/v1/preprocess_service';
import { StoreService } from 'lamella/proto/lamella/data/v1/store_service';
import { definePlugin, type Plugin } from 'lamella/sdk';
import { type PreprocessConfig, PreprocessConfigSchema } from './config.ts';
import { Preprocessor } from './preprocessor.ts';
import { preprocessService } from './service.ts';

const plugin: Plugin<PreprocessConfig> = definePlugin({
  config: PreprocessConfigSchema,
  start(host) {
    const parts = { store: host.call(StoreService), engine: host.call(EngineService) };
    host.serve(PreprocessService, preprocessService(new Preprocessor(parts)));
  },
});
export default plugin;
