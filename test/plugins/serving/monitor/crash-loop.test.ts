import assert from 'node:assert/strict';
import path from 'node:path';
import process from 'node:process';
import { AlertState, MonitorService } from 'lamella/proto/lamella/serving/v1/monitor_service';
import { startTestKernel, type TestKernel } from 'lamella/sdk/testing';
import { copyEcho, type EchoPlugin, ROOT } from '../../../support/echo-plugin.ts';
import { eventually } from '../../../support/eventually.ts';

const CRASHES = 'lamella_plugin_crashes_total{plugin="example.echo"}';

describe('the rule for crash loops', function () {
  this.timeout(60_000);
  let echo: EchoPlugin;
  let kernel: TestKernel;

  before(async () => {
    echo = await copyEcho();
    await echo.useContractPlugin();
    kernel = await startTestKernel({
      plugins: [echo.directory, path.join(ROOT, 'dist/plugins/serving/monitor')],
      config: {
        plugins: {
          'example.echo': { isolation: 'PROCESS' },
          'serving.monitor': { config: { intervalMs: 200, maxSeries: 1_000 } },
        },
      },
    });
  });

  after(async () => {
    await kernel.stop();
    await echo.remove();
  });

  async function crash(): Promise<void> {
    const pids: number[] = [];
    await eventually(() => {
      const { state, pid } = kernel.describe('example.echo');
      if (state === 'ACTIVE' && pid !== undefined) pids.push(pid);
      return pids.length > 0;
    });
    process.kill(pids[0] ?? assert.fail('no process'), 'SIGKILL');
    await eventually(() => kernel.describe('example.echo').pid !== pids[0]);
  }

  async function crashesSeen(): Promise<number | undefined> {
    const { series } = await kernel.call(MonitorService).queryMetrics({ expression: CRASHES });
    return series[0]?.points[0]?.value;
  }

  async function alerts(): Promise<string[]> {
    const listed = await kernel.call(MonitorService).listAlerts({});
    return listed.alerts
      .filter(({ state }) => state === AlertState.FIRING)
      .map(({ labels }) => `${labels['alertname']} ${labels['plugin'] ?? ''}`);
  }

  it('fires at the third crash of a plugin process within ten minutes, and not before', async () => {
    await eventually(async () => (await crashesSeen()) === 0);
    await crash();
    await crash();
    await eventually(async () => (await crashesSeen()) === 2);
    const { rules } = await kernel.call(MonitorService).listAlertRules({});
    const rule = rules.find(({ alert }) => alert === 'PluginCrashLoop');
    assert.deepEqual([rule?.problem, rule?.state], ['', AlertState.INACTIVE]);
    await crash();
    await eventually(async () => (await alerts()).includes('PluginCrashLoop example.echo'));
    assert.equal(await crashesSeen(), 3);
  });
});
