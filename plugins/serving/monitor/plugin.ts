import { definePlugin, type Plugin } from 'lamella/sdk';
import { MonitorService } from 'lamella/proto/lamella/serving/v1/monitor_service';
import { AlertRules } from './alert-rules.ts';
import { AlertWatch } from './alert-watch.ts';
import { MonitorConfigSchema } from './config.ts';
import { parseExposition } from './exposition.ts';
import { monitorService } from './service.ts';

const plugin: Plugin = definePlugin({
  config: MonitorConfigSchema,
  start(host) {
    const { clock, config, events, log, metrics, storage } = host;
    const rules = new AlertRules(storage, config.maxRules);
    const watch = new AlertWatch({ log, events });
    let isLooking = false;
    const look = async (): Promise<void> => {
      // A slow exposition must not be overtaken by the next one: rates need the looks in order.
      if (isLooking) return;
      isLooking = true;
      try {
        const known = await rules.list();
        const text = known.length === 0 ? '' : await metrics.exposition();
        watch.evaluate(known, parseExposition(text), clock.now());
      } catch (error) {
        log.error('Alert rules could not be evaluated', { error });
      } finally {
        isLooking = false;
      }
    };
    const timer = setInterval(() => void look(), config.intervalMs);
    host.own({ close: () => clearInterval(timer) });
    host.serve(MonitorService, monitorService({ metrics, rules, watch }));
  },
});

export default plugin;
