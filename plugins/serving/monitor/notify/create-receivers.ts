import type { Host } from 'lamella/sdk';
import type { EmailConfig, ReceiverConfig } from '../config.ts';
import { ReceiverInvalid } from '../errors.ts';
import { parseMatchers } from '../promql/parse-matchers.ts';
import { eventSink } from './event-sink.ts';
import { logSink } from './log-sink.ts';
import { mailSink } from './mail-sink.ts';
import type { Sink } from './notification.ts';
import { Receiver, type ReceiverParts } from './receiver.ts';
import { webhookSink } from './webhook-sink.ts';

/** Makes the receivers that the configuration names. @throws RECEIVER_INVALID */
export function createReceivers(host: Host, configs: readonly ReceiverConfig[]): Receiver[] {
  const { clock, log, metrics, signal, storage } = host;
  const parts: ReceiverParts = {
    clock,
    log,
    signal,
    storage,
    failures: metrics.counter({
      name: 'lamella_monitor_notifications_failed_total',
      help: 'Attempts to tell a receiver of alerts that failed.',
      labels: ['receiver'],
    }),
    deliveries: metrics.counter({
      name: 'lamella_monitor_notifications_total',
      help: 'Notifications that a receiver has taken.',
      labels: ['receiver'],
    }),
  };
  const names = configs.map(({ name }) => name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) {
    throw new ReceiverInvalid({ receiver: twice, problem: 'there are two of this name' });
  }
  return configs.map((config) => {
    // Series that begin at 0 show their first increase.
    parts.failures.add(0, { receiver: config.name });
    parts.deliveries.add(0, { receiver: config.name });
    return new Receiver(
      {
        name: config.name,
        matchers: matchersOf(config),
        groupBy: config.groupBy,
        times: config,
        timeoutMs: config.timeoutMs,
        sink: sinkOf(host, config),
      },
      parts,
    );
  });
}

function matchersOf({ name, matchers }: ReceiverConfig): ReturnType<typeof parseMatchers> {
  if (matchers === undefined) return [];
  try {
    return parseMatchers(matchers);
  } catch (error) {
    throw new ReceiverInvalid({ receiver: name, problem: `matchers: ${(error as Error).message}` });
  }
}

function sinkOf(host: Host, { name, log, event, webhook, email }: ReceiverConfig): Sink {
  const sinks = [
    log === true ? logSink(host.log) : undefined,
    event === true ? eventSink(host.events) : undefined,
    webhook === undefined ? undefined : webhookSinkOf(host, webhook),
    email === undefined ? undefined : mailSinkOf(host, email),
  ].filter((sink) => sink !== undefined);
  const [sink] = sinks;
  if (sink !== undefined && sinks.length === 1) return sink;
  throw new ReceiverInvalid({ receiver: name, problem: 'it has one of log, event, webhook and email' });
}

function webhookSinkOf(host: Host, { url, secret }: NonNullable<ReceiverConfig['webhook']>): Sink {
  const secrets = secret === undefined ? undefined : (): string => host.secrets.get(secret);
  return webhookSink({ url, secrets, fetch: (input, init) => host.fetch(input, init), clock: host.clock });
}

function mailSinkOf(host: Host, { user, password, ...options }: EmailConfig): Sink {
  const credentials =
    user === undefined || password === undefined
      ? undefined
      : (): { user: string; pass: string } => ({ user, pass: host.secrets.get(password) });
  return mailSink({ ...options, credentials });
}
