import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { Webhook } from 'standardwebhooks';
import type { Notification } from '../../../../plugins/serving/monitor/notify/notification.ts';
import { webhookSignature } from '../../../../plugins/serving/monitor/notify/webhook-signature.ts';
import { webhookSink } from '../../../../plugins/serving/monitor/notify/webhook-sink.ts';
import { FakeHost } from '../../../support/fake-host.ts';
import { WebhookReceiver } from './webhook-receiver.ts';

const SECRET = `whsec_${randomBytes(32).toString('base64')}`;

describe('a webhook', () => {
  let server: WebhookReceiver;
  let host: FakeHost;
  const notification: Notification = {
    id: 'msg_1',
    receiver: 'r',
    groupLabels: { alertname: 'A' },
    timeMs: 1_000,
    alerts: [
      {
        id: '1',
        labels: { alertname: 'A', m: 'x' },
        annotations: {},
        value: 7,
        isFiring: true,
        startMs: 1,
        endMs: 0,
      },
      {
        id: '2',
        labels: { alertname: 'A', m: 'y' },
        annotations: {},
        value: 7,
        isFiring: false,
        startMs: 1,
        endMs: 9,
      },
    ],
    leftOut: 3,
  };

  beforeEach(async () => {
    server = await new WebhookReceiver().start();
    host = new FakeHost();
  });

  afterEach(async () => {
    await server.close();
    await host.close();
  });

  async function send(secrets: string | undefined, signal: AbortSignal = host.signal): Promise<void> {
    const sink = webhookSink({
      url: server.url,
      secrets: secrets === undefined ? undefined : () => secrets,
      fetch: (input, init) => fetch(input, init),
      clock: host.clock,
    });
    await sink.send(notification, signal);
  }

  it('is signed so that the reference library of Standard Webhooks verifies it', async () => {
    await send(SECRET);
    const { headers, body, json } = await server.received(1);
    const sentHeaders = headers as Record<string, string>;
    new Webhook(SECRET).verify(body, sentHeaders);
    assert.throws(() => new Webhook(SECRET).verify(`${body} `, sentHeaders));
    assert.throws(() => new Webhook(SECRET).verify(body, { ...sentHeaders, 'webhook-timestamp': '1' }));
    assert.throws(() => new Webhook(SECRET).verify(body, { ...sentHeaders, 'webhook-id': 'msg_2' }));
    assert.deepEqual([sentHeaders['webhook-id'], json.status, json.alerts.length], ['msg_1', 'firing', 2]);
    const { version, truncatedAlerts, commonLabels } = JSON.parse(body) as Record<string, unknown>;
    assert.deepEqual([version, truncatedAlerts, commonLabels], ['4', 3, { alertname: 'A' }]);
  });

  it('is signed with every secret while one replaces the other', async () => {
    const next = `whsec_${randomBytes(24).toString('base64')}`;
    await send(`${next} ${SECRET}`);
    const { headers, body } = await server.received(1);
    for (const secret of [SECRET, next]) new Webhook(secret).verify(body, headers as Record<string, string>);
  });

  it('is not signed without a secret, and not sent with a bad one', async () => {
    await send(undefined);
    assert.equal((await server.received(1)).headers['webhook-signature'], undefined);
    await assert.rejects(send('whsec_short'), /24 to 64 bytes/);
    assert.throws(() => webhookSignature({ id: 'a', timestamp: 1, body: '' }, 'plain'), /whsec_/);
    assert.equal(server.hooks.length, 1);
  });

  it('tells busy, gone and moved apart', async () => {
    const problem = async (status: number, headers: Record<string, string> = {}): Promise<unknown> => {
      server.answer = (response) => response.writeHead(status, headers).end();
      return send(SECRET).then(
        () => 'taken',
        ({ message, isFinal, retryAfterMs }: { message: string; isFinal: boolean; retryAfterMs: number }) => [
          message,
          isFinal,
          retryAfterMs,
        ],
      );
    };
    assert.equal(await problem(200), 'taken');
    assert.deepEqual(await problem(410), ['the webhook answered with status 410', true, 0]);
    assert.deepEqual(await problem(429, { 'retry-after': '7' }), [
      'the webhook answered with status 429',
      false,
      7_000,
    ]);
    assert.deepEqual(await problem(500, { 'retry-after': '7' }), [
      'the webhook answered with status 500',
      false,
      0,
    ]);
    assert.deepEqual(await problem(302, { location: '/elsewhere' }), [
      'the webhook answered with status 302',
      false,
      0,
    ]);
    assert.equal(server.hooks.length, 5);
  });

  it('that does not answer is given up', async () => {
    server.answer = () => undefined;
    const controller = new AbortController();
    const sending = assert.rejects(send(SECRET, controller.signal), { name: 'AbortError' });
    await server.received(1);
    controller.abort();
    await sending;
  });
});
