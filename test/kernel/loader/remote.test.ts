import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import * as grpc from '@grpc/grpc-js';
import { isDeclaredError } from '../../../sdk/index.ts';
import { startTestKernel, type TestKernel } from '../../../sdk/testing/index.ts';
import { EchoService } from '../../../examples/echo/gen/echo/v1/echo_service_pb.ts';
import { bareEcho, describedEcho, freePort, saying } from '../../support/bare-echo.ts';
import { eventually } from '../../support/eventually.ts';
import { copyEcho, type EchoPlugin, ROOT } from '../../support/echo-plugin.ts';

const ID = 'example.echo';

/** A kernel whose echo answers with a version of its own, so that callers see where they were. */
async function farKernel(version: string): Promise<{ kernel: TestKernel; plugin: EchoPlugin }> {
  const plugin = await copyEcho();
  await plugin.setVersion(version);
  return { kernel: await startTestKernel({ plugins: [plugin.directory] }), plugin };
}

async function nearKernel(plugin: EchoPlugin, remote: object): Promise<TestKernel> {
  return startTestKernel({
    plugins: [plugin.directory],
    config: { plugins: { [ID]: { isolation: 'REMOTE', remote } } },
  });
}

async function say(kernel: TestKernel): Promise<string> {
  return (await kernel.call(EchoService).say({ payload: Buffer.from('x') })).version;
}

describe('a plugin at two addresses', function () {
  this.timeout(60_000);

  it('is called in turn, loses no call when one of them stops, and gets it back', async () => {
    const first = await farKernel('1.0.0');
    const second = await farKernel('2.0.0');
    const plugin = await copyEcho();
    const addresses = [first.kernel.addresses.grpc, second.kernel.addresses.grpc];
    const near = await nearKernel(plugin, { addresses });
    await eventually(async () => new Set([await say(near), await say(near)]).size === 2);
    const seen = [await say(near), await say(near), await say(near), await say(near)];
    assert.deepEqual(seen.toSorted(), ['1.0.0', '1.0.0', '2.0.0', '2.0.0']);

    let isOver = false;
    let calls = 0;
    const load = Array.from({ length: 16 }, async () => {
      while (!isOver) {
        await say(near);
        calls += 1;
      }
    });
    await second.kernel.stop();
    isOver = true;
    await Promise.all(load);
    assert.ok(calls > 0);
    assert.deepEqual([await say(near), await say(near)], ['1.0.0', '1.0.0']);

    const port = Number(addresses[1]?.split(':')[1]);
    const { server } = await bareEcho(saying('3.0.0'), { port });
    await eventually(async () => (await say(near)) === '3.0.0');
    await near.stop();
    server.forceShutdown();
    await first.kernel.stop();
    for (const { remove } of [first.plugin, second.plugin, plugin]) await remove();
  });

  it('leaves out an address that only fails, and tries it again later', async () => {
    let isBroken = true;
    let failures = 0;
    const good = await bareEcho(saying('good'));
    const bad = await bareEcho((callback) => {
      failures += 1;
      if (isBroken) callback({ code: grpc.status.UNAVAILABLE, details: 'overloaded' });
      else saying('bad')(callback);
    });
    const plugin = await describedEcho();
    const near = await nearKernel(plugin, { addresses: [bad.address, good.address] });
    // The method has no effects, so that those that fail there are answered by the other.
    for (let call = 0; call < 40; call += 1) assert.equal(await say(near), 'good');
    assert.ok(failures >= 4 && failures <= 6, `${failures} calls went to the broken one`);
    isBroken = false;
    await eventually(async () => (await say(near)) === 'bad');
    await near.stop();
    good.server.forceShutdown();
    bad.server.forceShutdown();
    await plugin.remove();
  });
});

describe('a plugin at an address where nobody listens', function () {
  this.timeout(30_000);

  it('is tried until somebody listens, and then serves', async () => {
    const plugin = await describedEcho();
    await plugin.setManifest({
      protos: ['proto/echo/v1/echo_service.proto'],
      probes: { startTimeout: '0.1s' },
    });
    const port = await freePort();
    const near = await nearKernel(plugin, { addresses: [`127.0.0.1:${port}`] });
    await eventually(async () => near.describe(ID).restarts >= 2);
    const { server } = await bareEcho(saying('late'), { port });
    await eventually(async () => (await say(near).catch(() => '')) === 'late');
    assert.equal(near.describe(ID).state, 'ACTIVE');
    await near.stop();
    server.forceShutdown();
    await plugin.remove();
  });

  it('does not start, and says where it was looked for', async () => {
    const plugin = await copyEcho();
    await plugin.setManifest({ probes: { startTimeout: '0.3s' } });
    const port = await freePort();
    const near = await nearKernel(plugin, { addresses: [`127.0.0.1:${port}`] });
    const { state, reason } = near.describe(ID);
    assert.equal(state, 'BACKOFF');
    assert.match(reason, new RegExp(`answers at none of 127\\.0\\.0\\.1:${port}.*ECONNREFUSED`));
    await near.stop();
    await plugin.remove();
  });

  it('fails calls with UNAVAILABLE and a pushback when the only address goes away', async () => {
    const { server, address } = await bareEcho(saying('1'));
    const plugin = await describedEcho();
    const near = await nearKernel(plugin, { addresses: [address] });
    assert.equal(await say(near), '1');
    server.forceShutdown();
    await eventually(async () => {
      const error: unknown = await say(near).catch((cause: unknown) => cause);
      return isDeclaredError(error) && error.reason === 'REMOTE_UNREACHABLE' && error.retryAfterMs === 500;
    });
    await near.stop();
    await plugin.remove();
  });

  it('is refused without addresses, and without TLS beyond this machine', async () => {
    const plugin = await copyEcho();
    for (const [remote, problem] of [
      [{}, /neither its manifest nor the configuration names addresses/],
      [{ addresses: ['10.1.2.3:8001'] }, /10\.1\.2\.3:8001 is not on this machine and has no TLS/],
      [{ addresses: ['localhost'] }, /'localhost' is not host:port or dns:\/\/\/name:port/],
      [{ addresses: ['dns:///far.test:8001'] }, /far\.test:8001 is not on this machine and has no TLS/],
      [{ addresses: ['dns:///localhost'] }, /'dns:\/\/\/localhost' is not host:port/],
      [{ addresses: ['dns://names.test/localhost:1'] }, /names no usable DNS server/],
    ] as const) {
      const near = await nearKernel(plugin, remote);
      assert.match(near.describe(ID).reason, problem);
      await near.stop();
    }
    await plugin.remove();
  });
});

describe('a plugin behind mutual TLS', function () {
  this.timeout(60_000);
  let folder: string;
  const file = (name: string): string => path.join(folder, name);

  before(async function () {
    folder = await mkdtemp(path.join(tmpdir(), 'lamella-tls-'));
    try {
      execFileSync('bash', [path.join(ROOT, 'test/support/make-certificates.sh'), folder], {
        stdio: 'ignore',
      });
    } catch {
      if (process.env['CI'] === 'true') throw new Error('openssl is needed here and could not be run');
      this.skip();
    }
  });

  after(async () => {
    await rm(folder, { recursive: true, force: true });
  });

  it('is called with our certificate, and not without', async () => {
    const [ca, key, certificate] = await Promise.all(
      ['ca.pem', 'server.key', 'server.pem'].map((name) => readFile(file(name))),
    );
    assert.ok(ca !== undefined && key !== undefined && certificate !== undefined);
    const credentials = grpc.ServerCredentials.createSsl(
      ca,
      [{ private_key: key, cert_chain: certificate }],
      true,
    );
    const { server, address } = await bareEcho(saying('secure'), { credentials });
    const plugin = await describedEcho();
    await plugin.setManifest({ probes: { startTimeout: '1s' } });
    const own = { certificateFile: file('client.pem'), keyFile: file('client.key') };
    const tls = { caFile: file('ca.pem'), serverName: 'plugin.test' };
    const near = await nearKernel(plugin, { addresses: [address], tls: { ...tls, ...own } });
    assert.equal(await say(near), 'secure');
    await near.stop();
    for (const wrong of [
      tls,
      { ...tls, ...own, serverName: 'other.test' },
      { ...own, serverName: 'plugin.test' },
    ]) {
      const refused = await nearKernel(plugin, { addresses: [address], tls: wrong });
      assert.match(refused.describe(ID).reason, /answers at none of/);
      await refused.stop();
    }
    server.forceShutdown();
    await plugin.remove();
  });

  it('says which file is missing', async () => {
    const plugin = await describedEcho();
    await plugin.setManifest({ probes: { startTimeout: '0.2s' } });
    const near = await nearKernel(plugin, {
      addresses: ['127.0.0.1:1'],
      tls: { caFile: file('none.pem') },
    });
    assert.match(near.describe(ID).reason, /none\.pem/);
    await near.stop();
    await plugin.remove();
  });
});
