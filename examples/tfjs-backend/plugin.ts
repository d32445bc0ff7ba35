import { definePlugin, type Plugin } from 'lamella/sdk';
import { InferenceBackendService } from 'lamella/proto/lamella/serving/v1/inference_backend_service';
import { TfjsConfigSchema } from './config.ts';
import { createTfjsBackend } from './service.ts';

const plugin: Plugin = definePlugin({
  config: TfjsConfigSchema,
  start(host) {
    host.serve(InferenceBackendService, createTfjsBackend(host.config.models));
  },
});
export default plugin;
