import path from 'node:path';
import { FeedbackService } from 'lamella/proto/lamella/app/v1/feedback_service';
import { RegistryService } from 'lamella/proto/lamella/model/v1/registry_service';
import { MonitorService } from 'lamella/proto/lamella/serving/v1/monitor_service';
import { definePlugin, type Plugin } from 'lamella/sdk';
import { consoleHandler } from './console-handler.ts';
import { readStaticFiles } from './static-files.ts';

const plugin: Plugin = definePlugin({
  async start(host) {
    host.serveHttp(
      consoleHandler({
        files: await readStaticFiles(path.join(__dirname, 'public')),
        feedback: host.call(FeedbackService),
        registry: host.call(RegistryService),
        monitor: host.call(MonitorService),
        log: host.log,
      }),
    );
  },
});

export default plugin;
