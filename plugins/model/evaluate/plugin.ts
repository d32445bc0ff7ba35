import { StoreService } from 'lamella/proto/lamella/data/v1/store_service';
import { EvaluateService } from 'lamella/proto/lamella/model/v1/evaluate_service';
import { RegistryService } from 'lamella/proto/lamella/model/v1/registry_service';
import { definePlugin, type Plugin } from 'lamella/sdk';
import { type EvaluateConfig, EvaluateConfigSchema } from './config.ts';
import { Evaluator } from './evaluator.ts';
import { evaluateService } from './service.ts';

const plugin: Plugin<EvaluateConfig> = definePlugin({
  config: EvaluateConfigSchema,
  start(host) {
    const parts = {
      store: host.call(StoreService),
      registry: host.call(RegistryService),
      config: host.config,
    };
    host.serve(EvaluateService, evaluateService(new Evaluator(parts)));
  },
});
export default plugin;
