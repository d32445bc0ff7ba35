import assert from 'node:assert/strict';
import type * as grpc from '@grpc/grpc-js';
import { startTestKernel, type TestKernel } from '../../../sdk/testing/index.ts';
import { EchoService } from '../../../examples/echo/gen/echo/v1/echo_service_pb.ts';
import { bareEcho, type BareEcho, describedEcho, identity, saying } from '../../support/bare-echo.ts';
import type { EchoPlugin } from '../../support/echo-plugin.ts';
import { NameServer } from '../../support/name-server.ts';
import { eventually } from '../../support/eventually.ts';

const NAME = 'echo.fleet.test';
const SAY = '/echo.v1.EchoService/Say';

/** Servers at several addresses of this machine and one port, as machines behind one name are. */
async function atOnePort(hosts: readonly string[]): Promise<BareEcho[]> {
  for (let attempt = 1; ; attempt += 1) {
    const servers: BareEcho[] = [];
    try {
      for (const host of hosts) {
        servers.push(await bareEcho(saying(host), { host, port: servers[0]?.port ?? 0 }));
      }
      return servers;
    } catch (error) {
      for (const { server } of servers) server.forceShutdown();
      // Somebody else may have the port at one of the addresses.
      if (attempt === 20) throw error;
    }
  }
}

describe('a plugin at a name', function () {
  this.timeout(60_000);
  let names: NameServer;
  let plugin: EchoPlugin;

  before(async function () {
    // Other systems give only one address to the loopback.
    if (process.platform !== 'linux') {
      process.stdout.write('      skipped, since this system has one loopback address\n');
      this.skip();
    }
    names = await NameServer.start();
    plugin = await describedEcho();
  });

  after(async () => {
    await names?.stop();
    await plugin?.remove();
  });

  async function nearKernel(port: number, resolveIntervalMs: number): Promise<TestKernel> {
    const addresses = [`dns://${names.address}/${NAME}:${port}`];
    const remote = { addresses, resolveIntervalMs, plaintext: true };
    // Asking again and again while nothing answers must not open the circuit.
    const circuitBreaker = { minimumCalls: 0 };
    const config = { plugins: { 'example.echo': { isolation: 'REMOTE', remote, circuitBreaker } } };
    return startTestKernel({ plugins: [plugin.directory], config });
  }

  /** Which machines answer, when as many calls are made at once as there are to be. */
  async function seen(near: TestKernel, count: number): Promise<string[]> {
    const answers = Array.from({ length: count }, () => near.call(EchoService).say({}));
    return [...new Set((await Promise.all(answers)).map(({ version }) => version))].toSorted();
  }

  it('is called at every address of the name, and follows the name when it changes', async () => {
    const servers = await atOnePort(['127.0.0.2', '127.0.0.3', '127.0.0.4']);
    names.table.set(NAME, ['127.0.0.2', '127.0.0.3']);
    const near = await nearKernel(servers[0]?.port ?? 0, 100);
    await eventually(async () => (await seen(near, 2)).join() === '127.0.0.2,127.0.0.3');
    names.table.set(NAME, ['127.0.0.3', '127.0.0.4']);
    await eventually(async () => (await seen(near, 2)).join() === '127.0.0.3,127.0.0.4');
    // A name that is lost for a while has not moved.
    names.table.delete(NAME);
    assert.deepEqual(await seen(near, 4), ['127.0.0.3', '127.0.0.4']);
    await near.stop();
    for (const { server } of servers) server.forceShutdown();
  });

  it('lets running calls end at an address that the name no longer has', async () => {
    const [first, second] = await atOnePort(['127.0.0.2', '127.0.0.3']);
    assert.ok(first !== undefined && second !== undefined);
    let finish: (() => void) | undefined;
    const slowly: grpc.handleUnaryCall<Buffer, Buffer> = (_call, callback) => {
      if (finish === undefined) finish = () => saying('slow')(callback);
      else saying('quick')(callback);
    };
    first.server.unregister(SAY);
    first.server.register(SAY, slowly, identity, identity, 'unary');
    names.table.set(NAME, ['127.0.0.2']);
    const near = await nearKernel(first.port, 100);
    const running = near.call(EchoService).say({});
    await eventually(() => Promise.resolve(finish !== undefined));
    names.table.set(NAME, ['127.0.0.3']);
    await eventually(async () => (await near.call(EchoService).say({})).version === '127.0.0.3');
    finish?.();
    assert.equal((await running).version, 'slow');
    await near.stop();
    for (const { server } of [first, second]) server.forceShutdown();
  });

  it('is looked up at once when an address fails, however long the next look would take', async () => {
    const servers = await atOnePort(['127.0.0.2', '127.0.0.3']);
    names.table.set(NAME, ['127.0.0.2']);
    const near = await nearKernel(servers[0]?.port ?? 0, 3_600_000);
    assert.deepEqual(await seen(near, 4), ['127.0.0.2']);
    names.table.set(NAME, ['127.0.0.3']);
    servers[0]?.server.forceShutdown();
    await eventually(async () => (await seen(near, 1).catch(() => [])).join() === '127.0.0.3');
    await near.stop();
    servers[1]?.server.forceShutdown();
  });

  it('says why the name leads nowhere', async () => {
    await plugin.setManifest({ probes: { startTimeout: '1s' } });
    names.table.clear();
    const near = await nearKernel(8001, 5_000);
    const { state, reason } = near.describe('example.echo');
    assert.equal(state, 'BACKOFF');
    assert.match(
      reason,
      /answers at none of dns:\/\/.*echo\.fleet\.test:8001 \(.*ENOTFOUND echo\.fleet\.test/,
    );
    await near.stop();
  });
});
