import type { Events } from 'lamella/sdk';
import type { Sink } from './notification.ts';

/** Topic on which alerts are published. */
export const ALERT_TOPIC = 'serving.alerts';

/** Publishes one message for each alert. */
export function eventSink(events: Pick<Events, 'publish'>): Sink {
  return {
    send: async ({ alerts }) => {
      for (const alert of alerts) await events.publish(ALERT_TOPIC, { ...alert });
    },
  };
}
