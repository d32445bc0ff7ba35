import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { EchoService } from '../../examples/echo/gen/echo/v1/echo_service_pb.ts';
import { EventService } from '../../proto/gen/lamella/kernel/v1/event_service_pb.ts';
import { PluginService } from '../../proto/gen/lamella/kernel/v1/plugin_service_pb.ts';
import { isDeclaredError } from '../../sdk/index.ts';
import { startTestKernel, type TestKernel } from '../../sdk/testing/index.ts';
import { copyEcho, type EchoPlugin } from '../support/echo-plugin.ts';

const ID = 'example.echo';

const options = (properties: Readonly<Record<string, unknown>>): object => ({
  type: 'object',
  additionalProperties: false,
  properties,
});

const OLD = options({ timeoutSeconds: { type: 'integer' }, colour: { type: 'string' } });
const NEW = options({
  timeout: { type: 'object', properties: { seconds: { type: 'integer' } } },
  retries: { type: 'integer', default: 3 },
});
const MIGRATION = {
  from: '<2.0.0',
  patch: [
    { op: 'move', from: '/timeoutSeconds', path: '/timeout/seconds' },
    { op: 'remove', path: '/colour' },
  ],
};

for (const isolation of ['INLINE', 'WORKER', 'PROCESS'] as const) {
  describe(`the configuration of an older version at isolation ${isolation}`, function () {
    this.timeout(60_000);
    const written = { timeoutSeconds: 5, colour: 'red' };
    let home: string;
    let kernel: TestKernel;
    let plugin: EchoPlugin;

    const start = async (config: unknown = written): Promise<TestKernel> =>
      startTestKernel({
        plugins: [plugin.directory],
        home,
        config: { plugins: { [ID]: { isolation, config } } },
      });

    /** What the plugin got: it answers with it. */
    const configOf = async (): Promise<unknown> =>
      JSON.parse((await kernel.call(EchoService).say({})).version) as unknown;

    const upgrade = async (migration: object): Promise<void> => {
      await plugin.setManifest({ version: '2.0.0', config: NEW, configMigrations: [migration] });
      await kernel.reload(ID);
    };

    beforeEach(async () => {
      home = await mkdtemp(path.join(tmpdir(), 'lamella-migration-'));
      plugin = await copyEcho();
      await plugin.replacePlugin('host.version', 'JSON.stringify(host.config)');
      await plugin.setManifest({ version: '1.0.0', config: OLD });
      kernel = await start();
    });

    afterEach(async () => {
      await kernel.stop();
      await plugin.remove();
      await rm(home, { recursive: true, force: true });
    });

    it('becomes one of the new version, for good, while config.json and a rollback keep the old one', async () => {
      assert.deepEqual(await configOf(), written);
      const before = await readFile(path.join(home, 'config.json'), 'utf8');
      const events = kernel
        .call(EventService)
        .subscribe({ topics: ['kernel.plugin.config'] })
        [Symbol.asyncIterator]();
      await events.next();
      await upgrade(MIGRATION);
      assert.deepEqual(await configOf(), { timeout: { seconds: 5 }, retries: 3 });
      const { value } = await events.next();
      const payload = value?.event?.payload?.kind;
      assert.deepEqual(payload?.case === 'structValue' && Object.keys(payload.value.fields).toSorted(), [
        'from',
        'id',
        'options',
        'to',
      ]);
      await events.return?.();
      assert.equal(await readFile(path.join(home, 'config.json'), 'utf8'), before);
      await kernel.call(PluginService).rollbackPlugin({ id: ID });
      assert.deepEqual(await configOf(), written);
      // What was rolled back stays out over a restart, until somebody asks for it.
      await kernel.stop();
      kernel = await start();
      assert.deepEqual(await configOf(), written);
      await kernel.reload(ID);
      assert.deepEqual(await configOf(), { timeout: { seconds: 5 }, retries: 3 });
      await kernel.stop();
      kernel = await start();
      assert.deepEqual(await configOf(), { timeout: { seconds: 5 }, retries: 3 });
    });

    it('is taken as it stands once the operator has written it anew', async () => {
      await upgrade(MIGRATION);
      await kernel.stop();
      kernel = await start({ timeout: { seconds: 7 } });
      assert.deepEqual(await configOf(), { timeout: { seconds: 7 }, retries: 3 });
    });

    it('keeps the old version in service when the result does not fit, and says where', async () => {
      const patch = [{ op: 'move', from: '/colour', path: '/timeout/seconds' }];
      await assert.rejects(upgrade({ from: '<2.0.0', patch }), (error) => {
        assert.ok(isDeclaredError(error) && error.reason === 'CONFIG_MIGRATION_FAILED');
        assert.match(error.message, /1\.0\.0.*2\.0\.0.*'timeout\.seconds' must be integer/);
        return true;
      });
      assert.deepEqual(await configOf(), written);
      assert.match(kernel.describe(ID).reason, /reload failed: .*'timeout\.seconds' must be integer/);
    });
  });
}
