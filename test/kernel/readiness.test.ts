import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { EchoService } from '../../examples/echo/gen/echo/v1/echo_service_pb.ts';
import { readOwnerFile } from '../../kernel/access/owner-token.ts';
import { createKernel } from '../../kernel/kernel.ts';
import {
  Health,
  HealthCheckResponse_ServingStatus as Status,
} from '../../proto/gen/grpc/health/v1/health_pb.ts';
import { Code } from '../../sdk/index.ts';
import { startTestKernel, type TestKernel } from '../../sdk/testing/index.ts';
import { copyEcho, type EchoPlugin } from '../support/echo-plugin.ts';
import { GrpcClient } from '../support/grpc-client.ts';
import { rawCall } from './drills/processes.ts';

const { check, watch } = Health.method;
const { say, repeat } = EchoService.method;
const { NOT_SERVING, SERVING } = Status;

interface Probe {
  readonly code: number;
  readonly status: string;
  readonly reasons: readonly string[];
}

async function probe(address: string, name: 'live' | 'ready'): Promise<Probe> {
  const response = await fetch(`http://${address}/healthz/${name}`);
  return { code: response.status, ...((await response.json()) as Omit<Probe, 'code'>) };
}

async function statusOf(client: GrpcClient, service: string): Promise<Status> {
  return (await client.unary(check, { service })).answer.status;
}

describe('readiness', function () {
  this.timeout(60_000);
  const release: (() => unknown)[] = [];

  afterEach(async () => {
    for (const each of release.splice(0).toReversed()) await each();
  });

  async function echo(id = 'example.echo'): Promise<EchoPlugin> {
    const plugin = await copyEcho();
    release.push(() => plugin.remove());
    await plugin.setManifest({ id });
    return plugin;
  }

  async function start(
    plugins: readonly EchoPlugin[],
    config: Readonly<Record<string, unknown>> = {},
  ): Promise<TestKernel> {
    const kernel = await startTestKernel({ plugins: plugins.map(({ directory }) => directory), config });
    release.push(() => kernel.stop());
    return kernel;
  }

  function clientOf(address: string): GrpcClient {
    const client = new GrpcClient(address);
    release.push(() => client.close());
    return client;
  }

  it('begins when all that was asked to start is in service, while the process is live from the first', async () => {
    const plugin = await echo();
    // The plugin starts when the test lets go of the connection it makes.
    const gate = net.createServer().listen(0, '127.0.0.1');
    release.push(() => gate.close());
    await once(gate, 'listening');
    const { port } = gate.address() as net.AddressInfo;
    await plugin.replacePlugin('import { definePlugin', "import net from 'node:net';\nimport { definePlugin");
    await plugin.replacePlugin(
      '  start(host) {',
      `  async start(host) {\n    await new Promise((done) => net.connect(${port}).resume().once('close', done));`,
    );
    const home = await mkdtemp(path.join(tmpdir(), 'lamella-ready-'));
    release.push(() => rm(home, { recursive: true, force: true }));
    const kernel = createKernel({
      home,
      grpcPort: 0,
      httpPort: 0,
      metricsPort: 0,
      pluginDirectories: [plugin.directory],
      logLevel: 'silent',
    });
    const starting = kernel.start();
    release.push(async () => {
      await starting;
      await kernel.stop();
    });
    const [held] = (await once(gate, 'connection')) as [net.Socket];
    const address = (await readOwnerFile(home))?.grpc ?? '';
    const client = clientOf(address);
    assert.equal(await statusOf(client, 'kernel.live'), SERVING);
    const seen = client.stream(watch, { service: '' });
    assert.equal((await seen.next()).value?.status, NOT_SERVING);
    // Nobody knows the plugin's methods before it runs; its calls wait all the same.
    const waiting = client.unary(say, { payload: Buffer.from('early') });
    const streaming = client.stream(repeat, { payload: Buffer.from('early'), count: 2 }).next();
    assert.equal(
      (await rawCall(address, '/echo.v1.NoService/Say', Buffer.alloc(0))).code,
      Code.UNIMPLEMENTED,
    );
    held.destroy();
    assert.equal((await seen.next()).value?.status, SERVING);
    await seen.return(undefined);
    assert.equal(Buffer.from((await waiting).answer.payload).toString(), 'early');
    assert.equal(Buffer.from((await streaming).value?.payload ?? []).toString(), 'early');
  });

  it('is missing while a plugin is FAILED, says which over HTTP, and comes back with it', async () => {
    const [good, bad] = [await echo(), await echo('example.bad')];
    await bad.setManifest({ provides: [{ service: 'echo.v1.EchoService', extension: 'bad' }] });
    await bad.replacePlugin('  start(host) {', "  start(host) {\n    throw new Error('secret');");
    const kernel = await start([good, bad]);
    const client = clientOf(kernel.addresses.grpc);
    for (const address of [kernel.addresses.metrics, kernel.addresses.http]) {
      const expected = { code: 503, status: 'NOT_SERVING', reasons: ["plugin 'example.bad' is FAILED"] };
      assert.deepEqual(await probe(address, 'ready'), expected);
      assert.deepEqual(await probe(address, 'live'), { code: 200, status: 'SERVING', reasons: [] });
      assert.equal((await fetch(`http://${address}/healthz/other`)).status, 404);
    }
    assert.equal(await statusOf(client, ''), NOT_SERVING);
    assert.equal(await statusOf(client, 'kernel.live'), SERVING);

    const seen = client.stream(watch, { service: '' });
    assert.equal((await seen.next()).value?.status, NOT_SERVING);
    await bad.replacePlugin("throw new Error('secret');", '');
    await kernel.reload('example.bad');
    assert.equal((await seen.next()).value?.status, SERVING);
    await seen.return(undefined);
    assert.equal((await probe(kernel.addresses.metrics, 'ready')).code, 200);
  });

  it('asks for the plugins that the operator names, and for no other', async () => {
    const [good, bad] = [await echo(), await echo('example.bad')];
    await bad.setManifest({ provides: [{ service: 'echo.v1.EchoService', extension: 'bad' }] });
    await bad.replacePlugin('  start(host) {', "  start(host) {\n    throw new Error('broken');");
    const kernel = await start([good, bad], { requiredPlugins: ['example.echo'] });
    assert.equal((await probe(kernel.addresses.metrics, 'ready')).code, 200);
    await kernel.unload('example.echo');
    assert.deepEqual((await probe(kernel.addresses.metrics, 'ready')).reasons, [
      "plugin 'example.echo' is not loaded",
    ]);
  });

  it('stays while a plugin restarts after a crash, because its calls wait', async () => {
    const plugin = await echo();
    await plugin.useContractPlugin();
    const kernel = await start([plugin], { plugins: { 'example.echo': { isolation: 'PROCESS' } } });
    const client = clientOf(kernel.addresses.grpc);
    const service = client.stream(watch, { service: 'echo.v1.EchoService' });
    assert.equal((await service.next()).value?.status, SERVING);
    const whole: Status[] = [];
    const watching = (async () => {
      for await (const { status } of client.stream(watch, { service: '' })) whole.push(status);
    })().catch(() => undefined);
    await assert.rejects(client.unary(EchoService.method.say, { payload: Buffer.from('crash') }));
    assert.equal((await service.next()).value?.status, NOT_SERVING);
    assert.equal((await service.next()).value?.status, SERVING);
    await service.return(undefined);
    await client.unary(EchoService.method.say, {});
    assert.deepEqual(whole, [SERVING]);
    await kernel.stop();
    await watching;
    assert.deepEqual(whole, [SERVING, NOT_SERVING]);
  });
});
