import assert from 'node:assert/strict';
import { EchoService } from '../../examples/echo/gen/echo/v1/echo_service_pb.ts';
import { PluginService } from '../../proto/gen/lamella/kernel/v1/plugin_service_pb.ts';
import { CallMetrics } from '../../kernel/call-metrics.ts';
import { Router } from '../../kernel/router.ts';
import { startTestKernel, type TestKernel } from '../../sdk/testing/index.ts';
import { copyEcho, type EchoPlugin } from '../support/echo-plugin.ts';

describe('rate, errors and duration of calls', function () {
  this.timeout(30_000);
  let kernel: TestKernel;
  let plugin: EchoPlugin;

  before(async () => {
    plugin = await copyEcho();
    kernel = await startTestKernel({ plugins: [plugin.directory] });
  });

  after(async () => {
    await kernel.stop();
    await plugin.remove();
  });

  it('stand in /metrics by plugin, method and code, streams included', async () => {
    for (let index = 0; index < 3; index += 1) await kernel.call(EchoService).say({});
    for await (const _ of kernel.call(EchoService).repeat({ count: 2 }));
    await assert.rejects(kernel.call(PluginService).getPlugin({ id: 'no.such' }));
    const text = await (await fetch(`http://${kernel.addresses.metrics}/metrics`)).text();
    const say = 'plugin="example.echo",method="/echo.v1.EchoService/Say"';
    for (const line of [
      '# TYPE lamella_rpc_duration_seconds histogram',
      `lamella_rpc_duration_seconds_bucket{${say},le="+Inf"} 3`,
      `lamella_rpc_duration_seconds_count{${say}} 3`,
      `lamella_rpc_total{${say},code="OK"} 3`,
      'lamella_rpc_total{plugin="example.echo",method="/echo.v1.EchoService/Repeat",code="OK"} 1',
      'lamella_rpc_total{plugin="kernel",method="/lamella.kernel.v1.PluginService/GetPlugin",code="NOT_FOUND"} 1',
    ]) {
      assert.ok(text.split('\n').includes(line), `${line}\n${text}`);
    }
  });

  it('fall into cumulated buckets by their upper bound', () => {
    const router = new Router();
    const metrics = new CallMetrics(router);
    for (const seconds of [0.0005, 0.0006, 40]) metrics.count('/a.B/C', 'OK', seconds);
    const text = metrics.text();
    const of = (bound: string): string =>
      text.split('\n').find((line) => line.includes(`le="${bound}"`)) ?? '';
    assert.deepEqual(
      ['0.0005', '0.001', '30', '+Inf'].map((bound) => of(bound).split(' ').at(-1)),
      ['1', '2', '2', '3'],
    );
  });

  it('count names that nobody serves together, so that no caller can fill the memory or forge a line', () => {
    const metrics = new CallMetrics(new Router());
    for (let index = 0; index < 1_000; index += 1)
      metrics.count(`/made.Up/Method${index}`, 'UNIMPLEMENTED', 1);
    metrics.count('/x"} 1\nforged 1\n/y', 'OK', 1);
    const lines = metrics.text().split('\n');
    assert.ok(lines.includes('lamella_rpc_total{plugin="",method="/other/other",code="UNIMPLEMENTED"} 1000'));
    assert.ok(lines.length < 30, String(lines.length));
  });
});
