import assert from 'node:assert/strict';
import { startTestKernel, type TestKernel } from '../../sdk/testing/index.ts';
import { copyEcho, type EchoPlugin } from '../support/echo-plugin.ts';
import { EchoLoad } from './echo-load.ts';
import { FleetNode } from './fleet-node.ts';

describe('a kernel in front of two others', function () {
  this.timeout(240_000);
  let first: FleetNode;
  let second: FleetNode;
  let plugin: EchoPlugin;
  let near: TestKernel;

  before(async () => {
    [first, second, plugin] = await Promise.all([
      FleetNode.start('1.0.0'),
      FleetNode.start('2.0.0'),
      copyEcho(),
    ]);
    const remote = { addresses: [first.address, second.address] };
    const config = { plugins: { 'example.echo': { isolation: 'REMOTE', remote } } };
    near = await startTestKernel({ plugins: [plugin.directory], config });
  });

  after(async () => {
    await near?.stop();
    await Promise.all([first?.remove(), second?.remove(), plugin?.remove()]);
  });

  it('loses no call that may be made twice when one of them is killed, and takes it back when it returns', async () => {
    const load = new EchoLoad(near.addresses.grpc).say(16);
    await Promise.all([load.more('1.0.0', 50), load.more('2.0.0', 50)]);
    await first.end('SIGKILL');
    await load.more('2.0.0', 200);
    await first.start();
    await load.more('1.0.0', 50);
    await load.stop();
    assert.deepEqual(load.failures, []);
  });

  it('loses no call of any kind when one of them is stopped, and takes it back when it returns', async () => {
    const load = new EchoLoad(near.addresses.grpc).say(8).chat(8);
    await Promise.all([load.more('1.0.0', 50), load.more('2.0.0', 50)]);
    assert.equal(await second.end('SIGTERM'), 0);
    await load.more('1.0.0', 200);
    await second.start();
    await load.more('2.0.0', 50);
    await load.stop();
    assert.deepEqual(load.failures, []);
  });

  it('tells callers of other calls that the one they had is gone', async () => {
    const load = new EchoLoad(near.addresses.grpc).chat(16);
    await Promise.all([load.more('1.0.0', 50), load.more('2.0.0', 50)]);
    await first.end('SIGKILL');
    await load.more('2.0.0', 200);
    await load.stop();
    // Those that ran there, and no more.
    assert.ok(load.failures.length <= 16, String(load.failures.length));
    const codes = new Set(load.failures.map(({ code }) => code));
    assert.ok(codes.size === 0 || (codes.size === 1 && codes.has(14)), [...codes].join());
  });
});
