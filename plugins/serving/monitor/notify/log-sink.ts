import type { Logger } from 'lamella/sdk';
import type { Sink } from './notification.ts';

/** Writes a line for each alert. */
export function logSink(log: Logger): Sink {
  return {
    send: async ({ alerts }) => {
      for (const { labels, annotations, value, isFiring } of alerts) {
        if (isFiring) log.warn('Alert fires', { ...labels, ...annotations, value });
        else log.info('Alert ended', { ...labels });
      }
    },
  };
}
