import { TrainService } from 'lamella/proto/lamella/model/v1/train_service';
import { definePlugin, type Plugin } from 'lamella/sdk';
import { type TrainConfig, TrainConfigSchema } from './config.ts';
import { trainService } from './service.ts';
import { Trainer } from './trainer.ts';

const plugin: Plugin<TrainConfig> = definePlugin({
  config: TrainConfigSchema,
  start(host) {
    host.serve(TrainService, trainService(new Trainer(host)));
  },
});
export default plugin;
