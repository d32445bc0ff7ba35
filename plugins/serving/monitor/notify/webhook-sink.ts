import type { Clock, Host } from 'lamella/sdk';
import type { SeriesLabels } from '../promql/labels.ts';
import { groupText } from './group-text.ts';
import { DeliveryProblem, type Notification, type NotifiedAlert, type Sink } from './notification.ts';
import { webhookSignature } from './webhook-signature.ts';

/** Where a webhook goes. */
export interface WebhookOptions {
  readonly url: string;
  /** The secrets it is signed with; asked for each time, so that they can be replaced. `undefined` for no signature. */
  readonly secrets: (() => string) | undefined;
  readonly fetch: Host['fetch'];
  readonly clock: Clock;
}

/** Status that says the receiver is gone for good. */
const GONE = 410;

/** Statuses whose `retry-after` counts. */
const BUSY: ReadonlySet<number> = new Set([429, 503]);

/** Posts JSON, signed by Standard Webhooks, with the fields that Alertmanager's webhooks have. */
export function webhookSink({ url, secrets, fetch, clock }: WebhookOptions): Sink {
  return {
    send: async (notification, signal) => {
      const body = JSON.stringify(webhookBody(notification));
      const timestamp = Math.floor(clock.now() / 1_000);
      const signed = { id: notification.id, timestamp, body };
      const response = await fetch(url, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          'user-agent': 'lamella',
          'webhook-id': notification.id,
          'webhook-timestamp': String(timestamp),
          ...(secrets === undefined ? {} : { 'webhook-signature': webhookSignature(signed, secrets()) }),
        },
        body,
        // What is signed for one address is not sent to another.
        redirect: 'manual',
        signal,
      });
      await response.body?.cancel();
      if (response.ok) return;
      throw new DeliveryProblem(`the webhook answered with status ${response.status}`, {
        isFinal: response.status === GONE,
        retryAfterMs: BUSY.has(response.status) ? waitOf(response, clock.now()) : 0,
      });
    },
  };
}

function waitOf(response: Response, nowMs: number): number {
  const text = response.headers.get('retry-after') ?? '';
  const waitMs = /^\d{1,9}$/.test(text) ? Number(text) * 1_000 : Date.parse(text) - nowMs;
  return Number.isFinite(waitMs) ? Math.max(0, waitMs) : 0;
}

function webhookBody({ receiver, groupLabels, timeMs, alerts, leftOut }: Notification): unknown {
  const isFiring = alerts.some((alert) => alert.isFiring);
  return {
    type: isFiring ? 'alert.firing' : 'alert.resolved',
    timestamp: new Date(timeMs).toISOString(),
    version: '4',
    groupKey: `{}:{${groupText(groupLabels)}}`,
    truncatedAlerts: leftOut,
    status: isFiring ? 'firing' : 'resolved',
    receiver,
    groupLabels,
    commonLabels: common(alerts.map(({ labels }) => labels)),
    commonAnnotations: common(alerts.map(({ annotations }) => annotations)),
    externalURL: '',
    alerts: alerts.map(webhookAlert),
  };
}

function webhookAlert({ id, labels, annotations, value, isFiring, startMs, endMs }: NotifiedAlert): unknown {
  return {
    status: isFiring ? 'firing' : 'resolved',
    labels,
    annotations,
    startsAt: new Date(startMs).toISOString(),
    endsAt: isFiring ? '0001-01-01T00:00:00Z' : new Date(endMs).toISOString(),
    generatorURL: '',
    fingerprint: id,
    value: String(value),
  };
}

function common(all: readonly SeriesLabels[]): SeriesLabels {
  const [first = {}, ...others] = all;
  return Object.fromEntries(
    Object.entries(first).filter(([name, value]) => others.every((labels) => labels[name] === value)),
  );
}
