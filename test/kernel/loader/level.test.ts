import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { IsolationLevel } from '../../../proto/gen/lamella/kernel/v1/manifest_pb.ts';
import { PluginService } from '../../../proto/gen/lamella/kernel/v1/plugin_service_pb.ts';
import { isDeclaredError } from '../../../sdk/index.ts';
import { startTestKernel } from '../../../sdk/testing/index.ts';
import { EchoService } from '../../../examples/echo/gen/echo/v1/echo_service_pb.ts';
import { copyEcho, type EchoPlugin } from '../../support/echo-plugin.ts';

const ID = 'example.echo';

describe('the level of isolation that a plugin is loaded with', function () {
  this.timeout(60_000);
  let plugin: EchoPlugin;

  before(async () => {
    plugin = await copyEcho();
  });

  after(async () => {
    await plugin.remove();
  });

  it('is kept in reloads and in the next start, and a rollback brings back the one before', async () => {
    const home = await mkdtemp(path.join(tmpdir(), 'lamella-level-'));
    const { directory } = plugin;
    const first = await startTestKernel({ home, plugins: [directory] });
    assert.equal(first.describe(ID).isolation, 'INLINE');
    await first.call(PluginService).loadPlugin({ directory, isolation: IsolationLevel.WORKER });
    assert.equal(first.describe(ID).isolation, 'WORKER');
    await first.call(PluginService).rollbackPlugin({ id: ID });
    await first.reload(ID);
    assert.equal(first.describe(ID).isolation, 'INLINE');
    await first.call(PluginService).loadPlugin({ directory, isolation: IsolationLevel.WORKER });
    await first.reload(ID);
    assert.equal(first.describe(ID).isolation, 'WORKER');
    await first.stop();
    const second = await startTestKernel({ home, plugins: [directory] });
    assert.equal(second.describe(ID).isolation, 'WORKER');
    await second.stop();
    await rm(home, { recursive: true, force: true });
  });

  it('is refused when the manifest does not allow it, and the plugin stays where it was', async () => {
    const other = await copyEcho();
    await other.setManifest({ isolation: { preferred: 'INLINE', allowed: ['INLINE'] } });
    const { directory } = other;
    const kernel = await startTestKernel({ plugins: [directory] });
    for (const isolation of [IsolationLevel.PROCESS, 99 as IsolationLevel]) {
      const error: unknown = await kernel
        .call(PluginService)
        .loadPlugin({ directory, isolation })
        .catch((cause: unknown) => cause);
      assert.ok(isDeclaredError(error));
      assert.equal(error.reason, 'ISOLATION_UNSUPPORTED');
    }
    assert.equal(kernel.describe(ID).isolation, 'INLINE');
    await kernel.stop();
    await other.remove();
  });
});

describe('the code of a plugin in TypeScript', function () {
  this.timeout(60_000);

  it('is built once by the kernel, whatever the level', async () => {
    const plugin = await copyEcho();
    const { directory } = plugin;
    const kernel = await startTestKernel({ plugins: [directory] });
    const digests = new Set<string>();
    for (const isolation of [IsolationLevel.INLINE, IsolationLevel.WORKER, IsolationLevel.PROCESS]) {
      const answer = await kernel.call(PluginService).loadPlugin({ directory, isolation });
      digests.add(answer.plugin?.digest ?? '');
      const said = await kernel.call(EchoService).say({ payload: Buffer.from('x') });
      assert.equal(said.version, '0.1.0');
    }
    assert.equal(digests.size, 1);
    assert.match([...digests][0] ?? '', /^[0-9a-f]{64}$/);
    await kernel.stop();
    await plugin.remove();
  });
});
