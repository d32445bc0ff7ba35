import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { type JsonValue, toJson } from '@bufbuild/protobuf';
import { ValueSchema } from '@bufbuild/protobuf/wkt';
import { EchoService } from '../../examples/echo/gen/echo/v1/echo_service_pb.ts';
import {
  Health,
  HealthCheckResponse_ServingStatus as Status,
} from '../../proto/gen/grpc/health/v1/health_pb.ts';
import { EventService, type SubscribeResponse } from '../../proto/gen/lamella/kernel/v1/event_service_pb.ts';
import { startTestKernel, type TestKernel } from '../../sdk/testing/index.ts';
import { copyEcho, type EchoPlugin } from '../support/echo-plugin.ts';
import { makeTextPlugin, type TextPlugin } from '../support/text-plugin.ts';

const ID = 'example.echo';
const SHOUT = 'text.v1.ShoutService';

interface Change {
  readonly id: string;
  readonly version: string;
  readonly state: string;
  readonly reason: string;
}

/** Changes of plugins, as the topic `kernel.plugins` tells them; read with `until`. */
class Changes {
  readonly #events: AsyncIterator<SubscribeResponse>;

  private constructor(events: AsyncIterator<SubscribeResponse>) {
    this.#events = events;
  }

  /** Resolves when nothing that happens from now on is missed. */
  static async open(kernel: TestKernel): Promise<Changes> {
    const events = kernel
      .call(EventService)
      .subscribe({ topics: ['kernel.plugins'] })
      [Symbol.asyncIterator]();
    await events.next();
    return new Changes(events);
  }

  /** The next change of a plugin into a state. */
  async until(id: string, state: string): Promise<Change> {
    for (;;) {
      const next = await this.#events.next();
      assert.ok(next.done !== true, 'the stream of changes has ended');
      const payload = next.value.event?.payload;
      if (payload === undefined) continue;
      const change = toJson(ValueSchema, payload) as JsonValue as unknown as Change;
      if (change.id === id && change.state === state) return change;
    }
  }
}

describe('a plugin that requires what another does not serve', function () {
  this.timeout(60_000);
  let kernel: TestKernel;
  let echo: EchoPlugin;
  let dependant: EchoPlugin;

  beforeEach(async () => {
    echo = await copyEcho();
    dependant = await copyEcho();
    await dependant.setManifest({
      id: 'example.dependant',
      provides: [],
      requires: [{ service: 'echo.v1.EchoService' }],
    });
    await dependant.replacePlugin('host.serve(EchoService, createEchoService(host.version));', '');
    kernel = await startTestKernel({
      plugins: [echo.directory, dependant.directory],
      config: { plugins: { [ID]: { isolation: 'PROCESS' } } },
    });
  });

  afterEach(async () => {
    await kernel.stop();
    await echo.remove();
    await dependant.remove();
  });

  it('is DEGRADED while that one waits to be started again, and ACTIVE afterwards', async () => {
    assert.equal(kernel.describe('example.dependant').state, 'ACTIVE');
    const changes = await Changes.open(kernel);
    process.kill(kernel.describe(ID).pid ?? 0, 'SIGKILL');
    const { reason } = await changes.until('example.dependant', 'DEGRADED');
    assert.match(
      reason,
      /^it requires echo\.v1\.EchoService of plugin 'example\.echo', which is BACKOFF: its process ended/,
    );
    const back = await changes.until('example.dependant', 'ACTIVE');
    assert.equal(back.reason, '');
    assert.equal(kernel.describe(ID).state, 'ACTIVE');
  });
});

describe('a plugin whose circuit is open', () => {
  it('is DEGRADED until a call goes well', async () => {
    const plugin = await copyEcho();
    await plugin.replaceCode(
      'return { payload, version };',
      "if (payload.length > 0) throw new Error('broken'); return { payload, version };",
    );
    const kernel = await startTestKernel({
      plugins: [plugin.directory],
      config: { plugins: { [ID]: { circuitBreaker: { minimumCalls: 4, openMs: 1 } } } },
    });
    const changes = await Changes.open(kernel);
    const client = kernel.call(EchoService);
    for (let call = 0; call < 4; call += 1) await assert.rejects(client.say({ payload: Buffer.from('x') }));
    const { reason } = await changes.until(ID, 'DEGRADED');
    assert.match(reason, /most of its last calls failed/);
    const recovered = changes.until(ID, 'ACTIVE');
    // A refused call does not count; the first that is let through does.
    while (kernel.describe(ID).state !== 'ACTIVE') await client.say({}).catch(() => undefined);
    await recovered;
    await kernel.stop();
    await plugin.remove();
  });
});

describe('a plugin process whose health says NOT_SERVING', function () {
  this.timeout(60_000);
  let kernel: TestKernel;
  let plugin: TextPlugin;

  beforeEach(async () => {
    plugin = await makeTextPlugin();
    await plugin.setManifest({ probes: { healthInterval: '0.02s', healthFailures: 2 } });
    kernel = await startTestKernel({ plugins: [plugin.directory] });
  });

  afterEach(async () => {
    await kernel.stop();
    await plugin.remove();
  });

  it('is DEGRADED, its services are NOT_SERVING, and both pass', async () => {
    const changes = await Changes.open(kernel);
    await plugin.put('sick-0.1.0', '');
    const { reason } = await changes.until('example.shout', 'DEGRADED');
    assert.match(reason, /its health service says NOT_SERVING/);
    assert.equal((await kernel.call(Health).check({ service: SHOUT })).status, Status.NOT_SERVING);
    await rm(path.join(plugin.directory, 'sick-0.1.0'));
    await changes.until('example.shout', 'ACTIVE');
    assert.equal((await kernel.call(Health).check({ service: SHOUT })).status, Status.SERVING);
  });

  it('gives way to the version before within the rollback window', async () => {
    const changes = await Changes.open(kernel);
    await plugin.setManifest({ version: '0.2.0', probes: { healthInterval: '0.02s', healthFailures: 2 } });
    await kernel.reload('example.shout');
    await plugin.put('sick-0.2.0', '');
    await changes.until('example.shout', 'ACTIVE');
    const back = await changes.until('example.shout', 'ACTIVE');
    assert.equal(back.version, '0.1.0');
    assert.match(
      back.reason,
      /^version 0\.2\.0 does not serve \(its health service says NOT_SERVING\); rolled back$/,
    );
  });
});
