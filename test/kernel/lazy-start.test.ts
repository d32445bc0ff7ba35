import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { EchoService } from '../../examples/echo/gen/echo/v1/echo_service_pb.ts';
import {
  HealthCheckResponse_ServingStatus as Status,
  Health,
} from '../../proto/gen/grpc/health/v1/health_pb.ts';
import { EventService } from '../../proto/gen/lamella/kernel/v1/event_service_pb.ts';
import { PluginService, PluginState } from '../../proto/gen/lamella/kernel/v1/plugin_service_pb.ts';
import { isDeclaredError } from '../../sdk/index.ts';
import { startTestKernel, type TestKernel } from '../../sdk/testing/index.ts';
import { copyEcho, type EchoPlugin } from '../support/echo-plugin.ts';

const ID = 'example.echo';
const SERVICE = 'echo.v1.EchoService';
const PROTOS = ['proto/echo/v1/echo_service.proto'];
const LEVELS = ['INLINE', 'WORKER', 'PROCESS'] as const;

async function health(kernel: TestKernel): Promise<Status> {
  return (await kernel.call(Health).check({ service: SERVICE })).status;
}

/** Resolves when the plugin says so of itself. */
async function untilReason(kernel: TestKernel, wanted: RegExp): Promise<void> {
  while (!wanted.test(kernel.describe(ID).reason)) {
    await new Promise<void>((resolve) => {
      setTimeout(resolve, 5);
    });
  }
}

describe('a plugin that is started by its first call', function () {
  this.timeout(60_000);
  let kernel: TestKernel;
  let plugin: EchoPlugin;

  beforeEach(async () => {
    plugin = await copyEcho();
    await plugin.setManifest({ activation: 'ON_CALL', protos: PROTOS });
  });

  afterEach(async () => {
    await kernel.stop();
    await plugin.remove();
  });

  for (const isolation of LEVELS) {
    it(`rests in sight of all until then, and starts once for many calls (${isolation})`, async () => {
      kernel = await startTestKernel({
        plugins: [plugin.directory],
        config: { plugins: { [ID]: { isolation } } },
      });
      const { state, reason } = kernel.describe(ID);
      assert.deepEqual(
        [state, reason, await health(kernel)],
        ['RESOLVED', 'waiting for a call', Status.SERVING],
      );
      const calls = Array.from({ length: 20 }, () => kernel.call(EchoService).say({}));
      const versions = new Set((await Promise.all(calls)).map(({ version }) => version));
      assert.deepEqual([...versions], ['0.1.0']);
      const { plugin: found } = await kernel.call(PluginService).getPlugin({ id: ID });
      assert.deepEqual([found?.state, found?.reason], [PluginState.ACTIVE, '']);
      assert.deepEqual(
        found?.instances.map(({ number }) => number),
        [1n],
      );
    });
  }

  it('meets the requirements of others while it rests, and is kept for them', async () => {
    const other = await copyEcho();
    try {
      await other.setManifest({ id: 'example.other', provides: [], requires: [{ service: SERVICE }] });
      await other.replacePlugin('host.serve(EchoService, createEchoService(host.version));', '');
      kernel = await startTestKernel({ plugins: [plugin.directory, other.directory] });
      assert.equal(kernel.describe('example.other').state, 'ACTIVE');
      assert.equal(kernel.describe(ID).state, 'RESOLVED');
      await assert.rejects(kernel.unload(ID), /example\.other/);
    } finally {
      await other.remove();
    }
  });

  it('is started by a reload, and rests again in a kernel that starts anew', async () => {
    kernel = await startTestKernel({ plugins: [plugin.directory] });
    await plugin.setVersion('0.2.0');
    await kernel.reload(ID);
    assert.equal(kernel.describe(ID).state, 'ACTIVE');
    assert.equal((await kernel.call(EchoService).say({})).version, '0.2.0');
    await kernel.unload(ID);
    await kernel.load(plugin.directory);
    assert.equal(kernel.describe(ID).state, 'RESOLVED');
  });

  it('tells the calls that wait why it does not start and when to retry; a later one starts it', async () => {
    await plugin.replacePlugin(
      'start(host) {',
      `async start(host) {
    const { access } = await import('node:fs/promises');
    await access(${JSON.stringify(path.join(plugin.directory, 'ready'))});`,
    );
    kernel = await startTestKernel({ plugins: [plugin.directory] });
    const calls = await Promise.allSettled([1, 2, 3].map(() => kernel.call(EchoService).say({})));
    for (const call of calls) {
      const error: unknown = call.status === 'rejected' ? call.reason : undefined;
      assert.ok(isDeclaredError(error) && error.reason === 'PLUGIN_NOT_READY', String(error));
      assert.match(error.message, /FAILED.*ENOENT.*ready/);
      assert.ok((error.retryAfterMs ?? 0) > 0);
    }
    await writeFile(path.join(plugin.directory, 'ready'), '');
    await untilReason(kernel, /waiting for a call; its last start failed: ENOENT/);
    assert.equal((await kernel.call(EchoService).say({})).version, '0.1.0');
    assert.equal(kernel.describe(ID).state, 'ACTIVE');
  });
});

describe('a plugin that is started by an event', function () {
  this.timeout(60_000);
  let kernel: TestKernel;
  let plugin: EchoPlugin;

  beforeEach(async () => {
    plugin = await copyEcho();
    await plugin.setManifest({
      activation: 'ON_EVENT',
      activationTopics: ['orders.created'],
      capabilities: { topics: ['orders.*'] },
      topics: [{ name: 'orders.seen' }],
      provides: [],
    });
    await plugin.replacePlugin(
      'host.serve(EchoService, createEchoService(host.version));',
      `void (async () => {
      for await (const { payload } of host.events.subscribe('orders.created')) {
        await host.events.publish('orders.seen', payload);
      }
    })();`,
    );
  });

  afterEach(async () => {
    await kernel.stop();
    await plugin.remove();
  });

  for (const isolation of LEVELS) {
    it(`gets the event that started it and those that came meanwhile, each once (${isolation})`, async () => {
      kernel = await startTestKernel({
        plugins: [plugin.directory],
        config: { plugins: { [ID]: { isolation } } },
      });
      assert.equal(kernel.describe(ID).reason, 'waiting for an event');
      const events = kernel.call(EventService);
      const seen = events.subscribe({ topics: ['orders.seen'] })[Symbol.asyncIterator]();
      await seen.next();
      for (let order = 1; order <= 5; order += 1) {
        const payload = { kind: { case: 'numberValue', value: order } } as const;
        await events.publish({ topic: 'orders.created', payload });
      }
      const orders: unknown[] = [];
      while (orders.length < 5) orders.push((await seen.next()).value?.event?.payload?.kind.value);
      await seen.return?.();
      assert.deepEqual(orders, [1, 2, 3, 4, 5]);
      // It may answer before the kernel has seen that it is ready.
      await untilReason(kernel, /^$/);
      assert.equal(kernel.describe(ID).restarts, 0);
    });
  }
});
