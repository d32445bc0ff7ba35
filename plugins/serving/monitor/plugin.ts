import { definePlugin, type Plugin } from 'lamella/sdk';
import { MonitorService } from 'lamella/proto/lamella/serving/v1/monitor_service';
import { type MonitorConfig, MonitorConfigSchema } from './config.ts';
import { startSamples } from './samples/start-samples.ts';
import { Monitor } from './monitor.ts';
import { monitorService } from './service.ts';

const plugin: Plugin = definePlugin({
  config: MonitorConfigSchema,
  async start(host) {
    const config = host.config as MonitorConfig;
    const monitor = new Monitor(host, config);
    host.serve(MonitorService, monitorService(host, monitor, config));
    await monitor.start(config.intervalMs);
    startSamples(host, config, monitor.drift);
  },
});

export default plugin;
