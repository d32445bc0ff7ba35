import { definePlugin, type Plugin } from 'lamella/sdk';
import { BalanceService } from 'lamella/proto/lamella/serving/v1/balance_service';
import { BalancedInferenceService } from 'lamella/proto/lamella/serving/v1/balanced_inference_service';
import { BalancedModels } from './balanced-models.ts';
import { BalanceConfigSchema } from './config.ts';
import { balancedInferenceService } from './inference-service.ts';
import { balanceService } from './service.ts';

const plugin: Plugin = definePlugin({
  config: BalanceConfigSchema,
  async start(host) {
    const models = host.own(new BalancedModels(host));
    await models.restore();
    host.serve(BalanceService, balanceService(models));
    host.serve(BalancedInferenceService, balancedInferenceService(models));
  },
});

export default plugin;
