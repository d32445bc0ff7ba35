import assert from 'node:assert/strict';
import path from 'node:path';
import { EchoService } from '../../examples/echo/gen/echo/v1/echo_service_pb.ts';
import { createClient, EncodingTransport } from '../../kernel/client.ts';
import { LinkTransport } from '../../kernel/kernel-link.ts';
import { LinkClient } from '../../kernel/link/link-client.ts';
import { PluginService, PluginState } from '../../proto/gen/lamella/kernel/v1/plugin_service_pb.ts';
import { type Client, isDeclaredError } from '../../sdk/index.ts';
import { startTestKernel, type TestKernel } from '../../sdk/testing/index.ts';
import { copyEcho, type EchoPlugin } from '../support/echo-plugin.ts';

const ID = 'example.echo';
const REPLACEMENTS = 5;
const CALLERS = 16;

/** A plugin that cannot start while another copy of it holds its lock. */
async function holdLock(plugin: EchoPlugin): Promise<void> {
  const file = path.join(plugin.directory, '..', 'lock');
  const lock = JSON.stringify(file);
  await plugin.setManifest({ exclusive: true, capabilities: { files: [{ path: file, write: true }] } });
  await plugin.replacePlugin(
    'start(host) {',
    `async start(host) {
    const { open, rm } = await import('node:fs/promises');
    await (await open(${lock}, 'wx')).close();
    host.own({ [Symbol.asyncDispose]: () => rm(${lock}) });`,
  );
}

/** Callers outside the kernel that never pause; every failure is kept. */
class Load {
  readonly failures: unknown[] = [];
  readonly versions: Set<string> = new Set();
  readonly #client: Client<typeof EchoService>;
  #isStopping = false;
  readonly #work: Promise<unknown>;

  constructor(client: Client<typeof EchoService>) {
    this.#client = client;
    this.#work = Promise.all([
      ...Array.from({ length: CALLERS }, () => this.#repeat(() => this.#say())),
      this.#repeat(() => this.#stream()),
    ]);
  }

  async #repeat(call: () => Promise<void>): Promise<void> {
    while (!this.#isStopping) await call().catch((error: unknown) => this.failures.push(error));
  }

  async #say(): Promise<void> {
    this.versions.add((await this.#client.say({ payload: Buffer.from('x'), delayMs: 2 })).version);
  }

  async #stream(): Promise<void> {
    let count = 0;
    for await (const { payload } of this.#client.repeat({ payload: Buffer.from('x'), count: 100 })) {
      count += payload.length;
    }
    assert.equal(count, 100);
  }

  end(): void {
    this.#isStopping = true;
  }

  async stop(): Promise<void> {
    this.end();
    await this.#work;
  }
}

for (const isolation of ['INLINE', 'WORKER', 'PROCESS'] as const) {
  describe(`an exclusive plugin at isolation ${isolation}`, function () {
    this.timeout(120_000);
    let kernel: TestKernel;
    let plugin: EchoPlugin;
    let link: LinkClient;
    let client: Client<typeof EchoService>;
    let load: Load | undefined;

    beforeEach(async () => {
      plugin = await copyEcho();
      await holdLock(plugin);
      kernel = await startTestKernel({
        plugins: [plugin.directory],
        config: { plugins: { [ID]: { isolation } } },
      });
      const [host = '', port = ''] = kernel.addresses.grpc.split(':');
      link = await LinkClient.connect({ host, port: Number(port) });
      client = createClient(EchoService, new EncodingTransport(new LinkTransport(link)));
    });

    afterEach(async () => {
      load?.end();
      await link.close();
      await kernel.stop();
      await plugin.remove();
    });

    it('is replaced one copy after the other, and callers notice nothing but the wait', async () => {
      load = new Load(client);
      for (let index = 2; index < 2 + REPLACEMENTS; index += 1) {
        await plugin.setVersion(`0.${index}.0`);
        await kernel.reload(ID);
        // The version that has just come must be seen before the next one does.
        await client.say({});
      }
      await load.stop();
      assert.deepEqual(load.failures, []);
      const { instances } = (await kernel.call(PluginService).getPlugin({ id: ID })).plugin ?? {};
      assert.deepEqual(
        instances?.map(({ version, state }) => [version, state]),
        [[`0.${1 + REPLACEMENTS}.0`, PluginState.ACTIVE]],
      );
    });

    it('is started again as it was when its successor does not start, though its files were changed', async () => {
      load = new Load(client);
      await plugin.setVersion('0.2.0');
      await plugin.replaceCode('return {\n', `throw new Error('not today');\n  return {\n`);
      // A process says why in its log; the kernel sees its end.
      await assert.rejects(kernel.reload(ID), /not today|exit code 1/);
      const { version } = await client.say({});
      await load.stop();
      const { state, reason } = kernel.describe(ID);
      assert.deepEqual([version, state, load.failures], ['0.1.0', 'ACTIVE', []]);
      assert.match(reason, /reload failed: .*(?:not today|exit code 1)/);
      assert.deepEqual([...load.versions], ['0.1.0']);
    });
  });
}

describe('exclusive resources', function () {
  this.timeout(60_000);
  let kernel: TestKernel;
  let plugin: EchoPlugin;
  let other: EchoPlugin;

  beforeEach(async () => {
    [plugin, other] = await Promise.all([copyEcho(), copyEcho()]);
    await plugin.setManifest({ exclusiveResources: ['port:5140'] });
    await other.setManifest({ id: 'example.other', provides: [], exclusiveResources: ['port:5140'] });
    await other.replacePlugin('host.serve(EchoService, createEchoService(host.version));', '');
    kernel = await startTestKernel({ plugins: [plugin.directory] });
  });

  afterEach(async () => {
    await kernel.stop();
    await Promise.all([plugin.remove(), other.remove()]);
  });

  it('belong to the plugin that came first, until it leaves', async () => {
    await assert.rejects(kernel.load(other.directory), (error) => {
      assert.ok(isDeclaredError(error) && error.reason === 'PLUGINS_UNRESOLVED');
      assert.match(
        error.message,
        /example\.other: it needs 'port:5140' for itself alone, which 'example\.echo' holds\./,
      );
      return true;
    });
    await kernel.unload(ID);
    await kernel.load(other.directory);
    assert.equal(kernel.describe('example.other').state, 'ACTIVE');
  });

  it('rule a canary and a rollback window out', async () => {
    await plugin.setVersion('0.2.0');
    const plugins = kernel.call(PluginService);
    await assert.rejects(plugins.reloadPlugin({ id: ID, canaryPercent: 10 }), /it is exclusive/);
    await kernel.reload(ID);
    await assert.rejects(plugins.rollbackPlugin({ id: ID }), /unless the plugin is exclusive/);
  });
});
