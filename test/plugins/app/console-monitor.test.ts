import assert from 'node:assert/strict';
import { create } from '@bufbuild/protobuf';
import type { FeedbackService } from 'lamella/proto/lamella/app/v1/feedback_service';
import type { RegistryService } from 'lamella/proto/lamella/model/v1/registry_service';
import {
  AlertState,
  CreateSilenceResponseSchema,
  ListAlertsResponseSchema,
  ListDriftResponseSchema,
  ListReceiversResponseSchema,
  type MonitorService,
  QueryMetricsResponseSchema,
} from 'lamella/proto/lamella/serving/v1/monitor_service';
import type { Client } from 'lamella/sdk';
import { consoleHandler } from '../../../plugins/app/console/console-handler.ts';
import type { MonitorView } from '../../../plugins/app/console/monitor-api.ts';
import { FakeHost } from '../../support/fake-host.ts';

describe('the monitor page of app.console', () => {
  it('shows alerts and charts, and silences alerts with exactly those labels', async () => {
    const asked: string[] = [];
    const monitor: Partial<Client<typeof MonitorService>> = {
      listAlerts: async () =>
        create(ListAlertsResponseSchema, {
          alerts: [
            {
              id: '1',
              state: AlertState.FIRING,
              labels: { alertname: 'A', m: '"' },
              annotations: { summary: 's' },
            },
          ],
        }),
      listReceivers: async () =>
        create(ListReceiversResponseSchema, { receivers: [{ name: 'hook', failures: 2 }] }),
      listDrift: async () =>
        create(ListDriftResponseSchema, {
          models: [
            {
              model: 'd',
              features: [
                { feature: 'input.x', stabilityIndex: 0.1 },
                {
                  feature: 'input.y',
                  stabilityIndex: 0.4,
                  drifted: true,
                  driftStartTime: { seconds: 7n },
                },
              ],
            },
            { model: 'e', problem: '3 rows are there, 200 are needed', features: [{ feature: 'input.z' }] },
          ],
        }),
      queryMetrics: async () =>
        create(QueryMetricsResponseSchema, {
          series: [{ labels: { model: 'd' }, points: [{ value: Number.NaN }, { value: 2 }] }],
        }),
      createSilence: async ({ silence }) => {
        asked.push(silence?.matchers ?? '');
        return create(CreateSilenceResponseSchema, { silence: { name: 'silences/1' } });
      },
    };
    const handle = consoleHandler({
      files: new Map(),
      log: new FakeHost().log,
      feedback: {} as Client<typeof FeedbackService>,
      registry: {} as Client<typeof RegistryService>,
      monitor: monitor as Client<typeof MonitorService>,
    });
    const ask = async (place: string, body?: unknown): Promise<Response> => {
      const init =
        body === undefined
          ? {}
          : { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
      const context = { signal: new AbortController().signal, peer: 'test' };
      return handle(new Request(`http://127.0.0.1/console/api/monitor${place}`, init), context);
    };
    const shown = (await (await ask('')).json()) as MonitorView;
    assert.deepEqual(
      [
        shown.alerts[0]?.name,
        shown.alerts[0]?.isFiring,
        shown.troubled,
        shown.charts['waiting']?.[0]?.points,
      ],
      ['A', true, ['hook'], [[0, 2]]],
    );
    assert.deepEqual(shown.drift, [
      { model: 'd', feature: 'input.y', stabilityIndex: 0.4, isDrifted: true, sinceMs: 7_000 },
      { model: 'd', feature: 'input.x', stabilityIndex: 0.1, isDrifted: false, sinceMs: 0 },
    ]);
    assert.deepEqual(shown.driftProblems, { e: '3 rows are there, 200 are needed' });
    const labels = shown.alerts[0]?.labels;
    const silenced = await ask('/silence', { labels, minutes: 5 });
    assert.deepEqual([silenced.status, asked], [201, ['{alertname="A", m="\\""}']]);
    for (const wrong of [{ minutes: 5 }, { labels, minutes: 0 }, { labels, minutes: 'x' }]) {
      assert.equal((await ask('/silence', wrong)).status, 400);
    }
    assert.equal((await ask('/unsilence', {})).status, 400);
  });
});
