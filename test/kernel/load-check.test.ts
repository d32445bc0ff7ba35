import assert from 'node:assert/strict';
import { PluginService, PluginState } from '../../proto/gen/lamella/kernel/v1/plugin_service_pb.ts';
import { isDeclaredError } from '../../sdk/index.ts';
import { startTestKernel, type TestKernel } from '../../sdk/testing/index.ts';
import { copyEcho, type EchoPlugin } from '../support/echo-plugin.ts';

describe('a load that is to check only', () => {
  let kernel: TestKernel;
  let plugin: EchoPlugin;

  beforeEach(async () => {
    plugin = await copyEcho();
    kernel = await startTestKernel({ plugins: [] });
  });

  afterEach(async () => {
    await kernel.stop();
    await plugin.remove();
  });

  it('says what would be loaded, and loads nothing', async () => {
    const service = kernel.call(PluginService);
    const { plugin: found } = await service.loadPlugin({ directory: plugin.directory, validateOnly: true });
    assert.deepEqual([found?.id, found?.state], ['example.echo', PluginState.RESOLVED]);
    assert.throws(() => kernel.describe('example.echo'), /No plugin/);
  });

  it('leaves the version in service alone', async () => {
    const service = kernel.call(PluginService);
    await service.loadPlugin({ directory: plugin.directory });
    await plugin.setVersion('0.2.0');
    const { plugin: next } = await service.loadPlugin({ directory: plugin.directory, validateOnly: true });
    assert.equal(next?.version, '0.2.0');
    assert.equal((await service.getPlugin({ id: 'example.echo' })).plugin?.version, '0.1.0');
  });

  it('refuses fields that nothing acts on, instead of ignoring them', async () => {
    const service = kernel.call(PluginService);
    const isRefused = (error: unknown): boolean =>
      isDeclaredError(error) && error.reason === 'REQUEST_FIELD_UNSUPPORTED';
    await assert.rejects(service.loadPlugin({ directory: plugin.directory, config: {} }), isRefused);
  });
});
