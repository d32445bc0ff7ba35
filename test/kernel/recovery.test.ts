import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { copyEcho, type EchoPlugin } from '../support/echo-plugin.ts';
import { KillableKernel, type ShownPlugin } from '../support/killable-kernel.ts';

const ID = 'example.echo';

/** Every state, share and version of a plugin that a kill must not change. */
function facts({ version, state, isolation, instances }: ShownPlugin): unknown {
  const serving = instances.filter(({ weight }) => weight > 0);
  return [version, state, isolation, serving.map((each) => [each.version, each.weight])];
}

describe('a kernel that is killed and started again', function () {
  this.timeout(120_000);
  let home: string;
  let plugin: EchoPlugin;
  let kernel: KillableKernel;

  beforeEach(async () => {
    home = await mkdtemp(path.join(tmpdir(), 'lamella-recovery-'));
    plugin = await copyEcho();
    kernel = new KillableKernel(home, [plugin.directory]);
    await kernel.start();
  });

  /** Starts it with a configuration. */
  async function configure(config: Readonly<Record<string, unknown>>): Promise<void> {
    await kernel.stop();
    await writeFile(path.join(home, 'config.json'), JSON.stringify(config));
    await kernel.start();
  }

  afterEach(async () => {
    await kernel.stop();
    await plugin.remove();
    await rm(home, { recursive: true, force: true });
  });

  it('goes on with a canary at its share, each version with its own code', async () => {
    await plugin.setVersion('0.2.0');
    const before = await kernel.plugin('reload', ID, '--canary', '30');
    // Nobody has loaded this one.
    await plugin.setVersion('0.3.0');
    await kernel.kill();
    await kernel.start();
    const after = await kernel.show(ID);
    assert.deepEqual(facts(after), [
      '0.1.0',
      'ACTIVE',
      'INLINE',
      [
        ['0.2.0', 30],
        ['0.1.0', 70],
      ],
    ]);
    assert.deepEqual(facts(after), facts(before));
    assert.equal((await kernel.plugin('promote', ID)).version, '0.2.0');
    await kernel.kill();
    await kernel.start();
    assert.equal((await kernel.show(ID)).version, '0.2.0');
  });

  it('keeps out what was rolled back, and so it does after a stop in order', async () => {
    await plugin.setVersion('0.2.0');
    await kernel.plugin('reload', ID);
    await kernel.plugin('rollback', ID);
    await kernel.kill();
    await kernel.start();
    assert.equal((await kernel.show(ID)).version, '0.1.0');
    await kernel.stop();
    await kernel.start();
    assert.equal((await kernel.show(ID)).version, '0.1.0');
    await kernel.stop();
    await plugin.setVersion('0.3.0');
    await plugin.replaceCode('return { payload, version };', 'return { payload, version: `${version}!` };');
    await kernel.start();
    assert.equal((await kernel.show(ID)).version, '0.3.0', 'a new version is nothing that was decided on');
  });

  it('keeps the level that was asked for', async () => {
    await kernel.plugin('load', plugin.directory, '--isolation', 'worker');
    await kernel.kill();
    await kernel.start();
    assert.equal((await kernel.show(ID)).isolation, 'WORKER');
  });

  it('counts on where it was with crashes, and leaves what was given up FAILED until it is reloaded', async () => {
    await configure({ plugins: { [ID]: { isolation: 'PROCESS' } } });
    const crash = async (restarts: number): Promise<ShownPlugin> => {
      process.kill((await kernel.until(ID, ({ pid }) => pid !== null)).pid ?? 0, 'SIGKILL');
      return kernel.until(ID, (now) => now.restarts >= restarts || now.state === 'FAILED');
    };
    await crash(1);
    const { restarts } = await crash(2);
    await kernel.until(ID, ({ state }) => state === 'ACTIVE');
    await kernel.kill();
    await kernel.start();
    assert.equal((await kernel.show(ID)).restarts, restarts);
    await crash(3);
    await crash(4);
    const before = await crash(5);
    assert.equal(before.state, 'FAILED');
    assert.match(before.reason, /crashed too often and is not restarted before 'lamella plugin reload/);
    await kernel.kill();
    await kernel.start();
    const after = await kernel.show(ID);
    assert.deepEqual([after.state, after.reason], ['FAILED', before.reason]);
    assert.equal((await kernel.plugin('reload', ID)).state, 'ACTIVE');
    await kernel.kill();
    await kernel.start();
    assert.equal((await kernel.show(ID)).state, 'ACTIVE');
  });

  it('starts what misses a plugin that was unloaded by force, and says so', async () => {
    const provider = await copyEcho();
    const dependant = await copyEcho();
    const second = { service: 'echo.v1.EchoService', extension: 'second' };
    await provider.setManifest({ id: 'example.provider', provides: [second] });
    await dependant.setManifest({ id: 'example.dependant', provides: [], requires: [second] });
    await dependant.replacePlugin('host.serve(EchoService, createEchoService(host.version));', '');
    await kernel.plugin('load', provider.directory);
    await kernel.plugin('load', dependant.directory);
    await kernel.plugin('unload', 'example.provider', '--force');
    for (const end of ['stop', 'kill'] as const) {
      await kernel[end]();
      await kernel.start();
      const { state, reason } = await kernel.show('example.dependant');
      assert.deepEqual(
        [state, reason],
        ['DEGRADED', 'it requires echo.v1.EchoService, which no plugin provides'],
      );
    }
    await kernel.plugin('load', provider.directory);
    assert.equal((await kernel.show('example.dependant')).state, 'ACTIVE');
    await provider.remove();
    await dependant.remove();
  });

  it('leaves in quarantine what may not run', async () => {
    await configure({ trust: { mode: 'strict' } });
    const other = await copyEcho();
    await other.setManifest({ id: 'example.other', provides: [] });
    await assert.rejects(kernel.plugin('load', other.directory), /PLUGIN_QUARANTINED/);
    const before = await kernel.show('example.other');
    await kernel.kill();
    await kernel.start();
    const { state, reason } = await kernel.show('example.other');
    assert.deepEqual([state, reason], ['QUARANTINED', before.reason]);
    await other.remove();
  });
});

describe('a plugin process that ends and whose folder has changed meanwhile', function () {
  this.timeout(120_000);

  it('comes back with the code that was in service', async () => {
    const home = await mkdtemp(path.join(tmpdir(), 'lamella-recovery-'));
    const plugin = await copyEcho();
    await writeFile(
      path.join(home, 'config.json'),
      JSON.stringify({ plugins: { [ID]: { isolation: 'PROCESS' } } }),
    );
    const kernel = new KillableKernel(home, [plugin.directory]);
    await kernel.start();
    await plugin.setVersion('0.2.0');
    await plugin.replaceCode('return { payload, version };', 'this is not TypeScript');
    const { pid } = await kernel.show(ID);
    process.kill(pid ?? 0, 'SIGKILL');
    const back = await kernel.until(ID, ({ state, restarts }) => state === 'ACTIVE' && restarts === 1);
    assert.equal(back.version, '0.1.0');
    await kernel.stop();
    await plugin.remove();
    await rm(home, { recursive: true, force: true });
  });
});
