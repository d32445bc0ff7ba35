import assert from 'node:assert/strict';
import { EchoService } from '../../examples/echo/gen/echo/v1/echo_service_pb.ts';
import {
  type Plugin,
  PluginService,
  PluginState,
} from '../../proto/gen/lamella/kernel/v1/plugin_service_pb.ts';
import { isDeclaredError } from '../../sdk/index.ts';
import { startTestKernel, type TestKernel } from '../../sdk/testing/index.ts';
import { copyEcho, type EchoPlugin } from '../support/echo-plugin.ts';

const ID = 'example.echo';

/** An answer of the version under test, turned into something else. */
const ANSWER = 'return { payload, version };';
const THROWS = `throw new Error('broken ' + version + String(payload));`;

async function pluginOf(kernel: TestKernel): Promise<Plugin> {
  const { plugin } = await kernel.call(PluginService).getPlugin({ id: ID });
  assert.ok(plugin !== undefined);
  return plugin;
}

/** Versions that answer `count` calls; failed calls are left out. */
async function versions(kernel: TestKernel, count: number): Promise<string[]> {
  const answers = await Promise.allSettled(
    Array.from({ length: count }, () => kernel.call(EchoService).say({})),
  );
  return answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value.version] : []));
}

function hasReason(reason: string): (error: unknown) => boolean {
  return (error) => isDeclaredError(error) && error.reason === reason;
}

/** Resolves with the plugin as soon as it is as wanted. */
async function until(kernel: TestKernel, isWanted: (plugin: Plugin) => boolean): Promise<Plugin> {
  for (;;) {
    const plugin = await pluginOf(kernel);
    if (isWanted(plugin)) return plugin;
    await new Promise<void>((resolve) => {
      setTimeout(resolve, 5);
    });
  }
}

for (const isolation of ['INLINE', 'PROCESS'] as const) {
  describe(`a version of a plugin at isolation ${isolation}`, function () {
    this.timeout(60_000);
    let kernel: TestKernel;
    let plugin: EchoPlugin;

    beforeEach(async () => {
      plugin = await copyEcho();
      kernel = await startTestKernel({
        plugins: [plugin.directory],
        config: { plugins: { [ID]: { isolation } } },
      });
    });

    afterEach(async () => {
      await kernel.stop();
      await plugin.remove();
    });

    it('waits in STANDBY after an upgrade and comes back on request, and so does the newer one', async () => {
      const plugins = kernel.call(PluginService);
      await plugin.setVersion('0.2.0');
      await kernel.reload(ID);
      assert.deepEqual(await versions(kernel, 3), ['0.2.0', '0.2.0', '0.2.0']);
      const before = await until(kernel, ({ instances }) => instances[1]?.state === PluginState.STANDBY);
      assert.deepEqual(
        before.instances.map(({ version, weight, number }) => [version, weight, number]),
        [
          ['0.2.0', 100, 2n],
          ['0.1.0', 0, 1n],
        ],
      );
      const { plugin: back } = await plugins.rollbackPlugin({ id: ID });
      assert.deepEqual([back?.version, back?.state], ['0.1.0', PluginState.ACTIVE]);
      assert.deepEqual(await versions(kernel, 3), ['0.1.0', '0.1.0', '0.1.0']);
      await plugins.rollbackPlugin({ id: ID });
      assert.deepEqual(await versions(kernel, 1), ['0.2.0']);
    });

    it('is taken out by itself when its calls fail and those of the version before did not', async () => {
      await versions(kernel, 40);
      await plugin.setVersion('0.2.0');
      await plugin.replaceCode(ANSWER, THROWS);
      await kernel.reload(ID);
      await versions(kernel, 60);
      const { version, state, reason } = await pluginOf(kernel);
      assert.deepEqual([version, state], ['0.1.0', PluginState.ACTIVE]);
      assert.match(reason, /^\d+ of \d+ calls to version 0\.2\.0 failed; rolled back$/);
      assert.deepEqual(await versions(kernel, 2), ['0.1.0', '0.1.0']);
    });

    it('gets its share of the calls as a canary, then all of them', async () => {
      await plugin.setVersion('0.2.0');
      const plugins = kernel.call(PluginService);
      await plugins.reloadPlugin({ id: ID, canaryPercent: 30 });
      const { version, instances, reason } = await pluginOf(kernel);
      assert.equal(version, '0.1.0');
      assert.match(reason, /version 0\.2\.0 gets 30 % of the calls/);
      assert.deepEqual(
        instances.map((instance) => [instance.version, instance.weight, instance.state]),
        [
          ['0.2.0', 30, PluginState.ACTIVE],
          ['0.1.0', 70, PluginState.ACTIVE],
        ],
      );
      const newer = (await versions(kernel, 1_000)).filter((answered) => answered === '0.2.0').length;
      // 300 expected, six standard deviations either way.
      assert.ok(newer > 213 && newer < 387, `${newer} of 1,000 calls went to the canary`);
      await plugins.promotePlugin({ id: ID });
      assert.deepEqual([...new Set(await versions(kernel, 50))], ['0.2.0']);
      await assert.rejects(plugins.promotePlugin({ id: ID }), hasReason('NOTHING_TO_PROMOTE'));
      await plugins.rollbackPlugin({ id: ID });
      assert.deepEqual([...new Set(await versions(kernel, 50))], ['0.1.0']);
    });

    it('is taken out as a canary when it fails, and the other loses no call', async () => {
      await plugin.setVersion('0.2.0');
      await plugin.replaceCode(ANSWER, THROWS);
      await kernel.call(PluginService).reloadPlugin({ id: ID, canaryPercent: 50 });
      await versions(kernel, 400);
      const { reason, instances } = await until(kernel, (now) => now.instances.length === 1);
      assert.match(reason, /calls to version 0\.2\.0 failed; rolled back/);
      assert.deepEqual([instances[0]?.version, instances[0]?.weight], ['0.1.0', 100]);
      assert.equal((await versions(kernel, 20)).length, 20);
    });
  });
}

describe('a new version that ends by itself within the rollback window', function () {
  this.timeout(60_000);
  let kernel: TestKernel;
  let plugin: EchoPlugin;

  beforeEach(async () => {
    plugin = await copyEcho();
    kernel = await startTestKernel({
      plugins: [plugin.directory],
      config: { plugins: { [ID]: { isolation: 'PROCESS' } } },
    });
    await plugin.setVersion('0.2.0');
  });

  afterEach(async () => {
    await kernel.stop();
    await plugin.remove();
  });

  it('gives way to the version before, without a restart', async () => {
    await kernel.reload(ID);
    process.kill((await pluginOf(kernel)).pid, 'SIGKILL');
    const { state, restarts, reason } = await until(kernel, ({ version }) => version === '0.1.0');
    assert.deepEqual([state, restarts], [PluginState.ACTIVE, 0]);
    assert.match(reason, /version 0\.2\.0 ended by itself \(signal SIGKILL\); rolled back/);
    assert.deepEqual(await versions(kernel, 1), ['0.1.0']);
  });

  it('ends its trial as a canary', async () => {
    await kernel.call(PluginService).reloadPlugin({ id: ID, canaryPercent: 50 });
    const [canary] = (await pluginOf(kernel)).instances;
    process.kill(canary?.pid ?? 0, 'SIGKILL');
    const { reason } = await until(kernel, ({ instances }) => instances.length === 1);
    assert.match(reason, /version 0\.2\.0 ended by itself/);
    assert.deepEqual([...new Set(await versions(kernel, 20))], ['0.1.0']);
  });
});

describe('a version whose rollback window is over', () => {
  it('is stopped and cannot be called back', async () => {
    const plugin = await copyEcho();
    const kernel = await startTestKernel({ plugins: [plugin.directory], config: { rollbackWindowMs: 20 } });
    await plugin.setVersion('0.2.0');
    await kernel.reload(ID);
    await until(kernel, ({ instances }) => instances.length === 1);
    await assert.rejects(
      kernel.call(PluginService).rollbackPlugin({ id: ID }),
      hasReason('NOTHING_TO_ROLL_BACK'),
    );
    await kernel.stop();
    await plugin.remove();
  });
});

describe('an upgrade that would leave others without what they need', () => {
  it('is refused, and the version in service stays', async () => {
    const plugin = await copyEcho();
    const kernel = await startTestKernel({ plugins: [plugin.directory] });
    const dependant = await copyEcho();
    await dependant.setManifest({
      id: 'example.dependant',
      provides: [],
      requires: [{ service: 'echo.v1.EchoService' }],
    });
    await dependant.replacePlugin('host.serve(EchoService, createEchoService(host.version));', '');
    await kernel.load(dependant.directory);
    await plugin.setManifest({ version: '0.2.0', provides: [] });
    await assert.rejects(kernel.reload(ID), /example\.dependant: it requires echo\.v1\.EchoService/);
    assert.deepEqual(await versions(kernel, 1), ['0.1.0']);
    await kernel.stop();
    await plugin.remove();
    await dependant.remove();
  });

  it('takes the calls of a dropped service away when nobody needs it', async () => {
    const plugin = await copyEcho();
    const kernel = await startTestKernel({ plugins: [plugin.directory] });
    await plugin.setManifest({ version: '0.2.0', provides: [] });
    await plugin.replacePlugin('host.serve(EchoService, createEchoService(host.version));', '');
    await assert.rejects(
      kernel.call(PluginService).reloadPlugin({ id: ID, canaryPercent: 10 }),
      hasReason('CANARY_INCOMPATIBLE'),
    );
    await kernel.reload(ID);
    await assert.rejects(kernel.call(EchoService).say({}), hasReason('SERVICE_NOT_FOUND'));
    await kernel.call(PluginService).rollbackPlugin({ id: ID });
    assert.deepEqual(await versions(kernel, 1), ['0.1.0']);
    await kernel.stop();
    await plugin.remove();
  });
});
