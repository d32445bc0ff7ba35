import { definePlugin, type Plugin } from 'lamella/sdk';
import { InferenceBackendService } from 'lamella/proto/lamella/serving/v1/inference_backend_service';
import { createRepeatBackend } from './service.ts';

const plugin: Plugin = definePlugin({
  start(host) {
    host.serve(InferenceBackendService, createRepeatBackend());
  },
});
export default plugin;
