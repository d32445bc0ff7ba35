import { defineConfig, definePlugin, type Plugin, Type } from 'lamella/sdk';
import { GreeterService } from './gen/greeter/v1/greeter_service_pb.ts';
import { createGreeter } from './service.ts';

const config = defineConfig({ greeting: Type.String({ default: 'Hello' }) });

const plugin: Plugin<{ greeting: string }> = definePlugin({
  config,
  start(host) {
    host.serve(GreeterService, createGreeter(host.config.greeting));
  },
});
export default plugin;
