import { FeedbackService } from 'lamella/proto/lamella/app/v1/feedback_service';
import { definePlugin, type Plugin } from 'lamella/sdk';
import { type FeedbackConfig, FeedbackConfigSchema } from './config.ts';
import { FeedbackStore } from './feedback-store.ts';
import { RunningRetrains } from './running.ts';
import { createFeedbackService } from './service.ts';
import { connectServices } from './services.ts';

const plugin: Plugin<FeedbackConfig> = definePlugin({
  config: FeedbackConfigSchema,
  start(host) {
    const { maxFeedbackBytes, servingAlias } = host.config as FeedbackConfig;
    host.serve(
      FeedbackService,
      createFeedbackService({
        services: connectServices(host),
        feedback: new FeedbackStore(host.storage, host.clock),
        running: new RunningRetrains(host.clock),
        alias: servingAlias,
        log: host.log,
        maxFeedbackBytes,
      }),
    );
  },
});
export default plugin;
