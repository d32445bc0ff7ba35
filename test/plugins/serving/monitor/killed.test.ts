import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { AlertState, MonitorService } from 'lamella/proto/lamella/serving/v1/monitor_service';
import type { Client } from 'lamella/sdk';
import { readOwnerFile } from '../../../../kernel/access/owner-token.ts';
import { parseAddress, withService } from '../../../../kernel/cli/connect.ts';
import { eventually } from '../../../support/eventually.ts';
import { KillableKernel } from '../../../support/killable-kernel.ts';
import { WebhookReceiver } from './webhook-receiver.ts';

const RULES =
  'groups:\n- name: g\n  rules:\n  - alert: Up\n    expr: increase(process_cpu_seconds_total[10s]) >= 0\n';

describe('serving.monitor that is killed', function () {
  this.timeout(180_000);
  let folder: string;
  let home: string;
  let server: WebhookReceiver;
  let kernel: KillableKernel;

  beforeEach(async () => {
    server = await new WebhookReceiver().start();
    folder = await mkdtemp(path.join(tmpdir(), 'lamella-killed-'));
    home = path.join(folder, 'home');
    await mkdir(home);
    const config = {
      intervalMs: 100,
      windowMs: 30_000,
      defaultRules: false,
      receivers: [{ name: 'hook', webhook: { url: server.url } }],
    };
    const capabilities = { network: [`127.0.0.1:${server.port}`] };
    await writeFile(
      path.join(home, 'config.json'),
      JSON.stringify({ plugins: { 'serving.monitor': { config, capabilities } } }),
    );
    kernel = new KillableKernel(home, [path.resolve('dist/plugins/serving/monitor')]);
  });

  afterEach(async () => {
    await kernel.stop();
    await server.close();
    await rm(folder, { recursive: true });
  });

  async function withMonitor<Result>(
    ask: (monitor: Client<typeof MonitorService>) => Promise<Result>,
  ): Promise<Result> {
    const owner = await readOwnerFile(home);
    const headers = new Map([['authorization', `Bearer ${owner?.token ?? ''}`]]);
    return withService({ target: parseAddress(owner?.grpc ?? ''), headers }, MonitorService, ask);
  }

  async function firing(): Promise<string[]> {
    const { alerts } = await withMonitor((monitor) => monitor.listAlerts({}));
    return alerts.map(
      ({ id, state, startTime }) =>
        `${id} ${state === AlertState.FIRING ? 'FIRING' : 'other'} ${startTime?.seconds} ${startTime?.nanos}`,
    );
  }

  it('loses no alert that fired, and does not tell of it again', async () => {
    await kernel.start();
    await withMonitor((monitor) => monitor.setRuleFile({ ruleFile: { name: 'ruleFiles/up', text: RULES } }));
    await server.received(1);
    const before = await firing();
    assert.match(before.join(), / FIRING \d/);
    const told = server.hooks[0]?.headers['webhook-id'];
    await kernel.kill();
    await kernel.start();
    assert.deepEqual(await firing(), before);
    await eventually(async () => {
      const { rules } = await withMonitor((monitor) => monitor.listAlertRules({}));
      return rules[0]?.evaluateTime !== undefined;
    });
    assert.deepEqual(await firing(), before);
    // Told again only when the kill came before it was written down; then with the same id.
    for (const { headers } of server.hooks) assert.equal(headers['webhook-id'], told);
  });
});
