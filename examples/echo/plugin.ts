import { definePlugin, type Plugin } from 'lamella/sdk';
import { EchoService } from './gen/echo/v1/echo_service_pb.ts';
import { createEchoService } from './service.ts';

const plugin: Plugin = definePlugin({
  start(host) {
    host.serve(EchoService, createEchoService(host.version));
  },
});
export default plugin;
