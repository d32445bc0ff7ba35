import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type TestKernel, startTestKernel } from '../../sdk/testing/index.ts';
import { copyEcho, type EchoPlugin } from '../support/echo-plugin.ts';
import { runLamella } from '../support/run-lamella.ts';

const ID = 'example.echo';

describe('lamella plugin load, unload and history', function () {
  this.timeout(60_000);
  let plugin: EchoPlugin;
  let home: string;
  let kernel: TestKernel;

  beforeEach(async () => {
    plugin = await copyEcho();
    home = await mkdtemp(path.join(tmpdir(), 'lamella-load-'));
    kernel = await startTestKernel({ plugins: [], home });
  });

  afterEach(async () => {
    await kernel.stop();
    await plugin.remove();
    await rm(home, { recursive: true, force: true });
  });

  const lamella = async (...words: string[]): Promise<string> => {
    const { code, out, err } = await runLamella(['plugin', ...words, '--home', home]);
    assert.equal(code, 0, err);
    return out;
  };

  it('says what a load would do, line by line in 80 columns, and does nothing', async () => {
    await plugin.setManifest({ capabilities: { network: ['api.example.com'], httpPrefix: '/echo' } });
    const out = await lamella('load', plugin.directory, '--dry-run');
    assert.deepEqual(out.split('\n'), [
      'Nothing was changed. The kernel would',
      '  1. grant network api.example.com, httpPrefix /echo',
      `  2. start ${ID} 0.1.0 at isolation INLINE`,
      '  3. serve echo.v1.EchoService',
      '  4. load it again at each start of the kernel',
    ]);
    assert.match(await lamella('list'), /No plugins are loaded/);
  });

  it('says how a version in service would be replaced', async () => {
    await lamella('load', plugin.directory);
    await plugin.setVersion('0.2.0');
    const plan = async (...words: string[]): Promise<string[]> => {
      const text = await lamella('load', plugin.directory, '--dry-run', '--json', ...words);
      return (JSON.parse(text) as { readonly steps: string[] }).steps;
    };
    assert.deepEqual(await plan('--isolation', 'process'), [
      `start ${ID} 0.2.0 at isolation PROCESS beside 0.1.0, which serves on until then`,
      'give it all new calls; 0.1.0 finishes those it has',
      'keep 0.1.0 for a rollback for 120 s',
      'load it again at each start of the kernel',
    ]);
    assert.equal(
      (await plan('--canary', '10'))[1],
      `give it 10 % of the calls; 0.1.0 keeps the others until 'lamella plugin promote ${ID}'`,
    );
    await plugin.setManifest({ exclusive: true });
    assert.equal((await plan())[0], 'let 0.1.0 finish its calls and stop, while new calls wait');
    assert.match(await lamella('list'), /example\.echo +0\.1\.0 +ACTIVE/);
  });

  it('unloads what others require when it is forced to, and they say what they miss', async () => {
    const dependant = await copyEcho();
    await dependant.setManifest({
      id: 'example.dependant',
      provides: [],
      requires: [{ service: 'echo.v1.EchoService' }],
    });
    await dependant.replacePlugin('host.serve(EchoService, createEchoService(host.version));', '');
    await lamella('load', plugin.directory);
    await lamella('load', dependant.directory);
    const refused = await runLamella(['plugin', 'unload', ID, '--home', home]);
    assert.match(refused.err.replace(/\s+/g, ' '), /required by example\.dependant.*--force/);
    assert.equal(await lamella('unload', ID, '--force'), `${ID} is unloaded.`);
    assert.match(
      await lamella('list'),
      /DEGRADED[\s\S]*requires\s+echo\.v1\.EchoService, which no\s+plugin provides/,
    );
    await lamella('load', plugin.directory);
    assert.equal(kernel.describe('example.dependant').state, 'ACTIVE');
    await dependant.remove();
  });

  it('shows what happened to a plugin, over restarts and after its end', async () => {
    await lamella('load', plugin.directory);
    await kernel.stop();
    kernel = await startTestKernel({ plugins: [], home });
    await lamella('unload', ID);
    const rows = JSON.parse(await lamella('history', ID, '--json')) as readonly { readonly state: string }[];
    const oneRun = ['VERIFIED', 'RESOLVED', 'STARTING', 'ACTIVE', 'DRAINING', 'STOPPED'];
    assert.deepEqual(
      rows.map(({ state }) => state),
      [...oneRun, ...oneRun, 'REMOVED'],
    );
    assert.match(await lamella('history', ID), /^\d{4}-\d\d-\d\dT[\d:.]+Z {2}0\.1\.0 {5}VERIFIED$/m);
    const { err } = await runLamella(['plugin', 'history', 'nobody', '--home', home]);
    assert.match(err, /PLUGIN_NOT_FOUND/);
  });
});
