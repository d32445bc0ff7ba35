import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type Client, Code, isDeclaredError } from '../../../sdk/index.ts';
import { startTestKernel, type TestKernel } from '../../../sdk/testing/index.ts';
import { EchoService } from '../../../examples/echo/gen/echo/v1/echo_service_pb.ts';
import { copyEcho, type EchoPlugin } from '../../support/echo-plugin.ts';

const ID = 'example.worker';

/** Says something to the plugin in the worker. */
async function tell(client: Client<typeof EchoService>, command: string): Promise<Record<string, unknown>> {
  const headers = [['lamella-extension', 'worker']] as const;
  const { payload } = await client.say({ payload: Buffer.from(command) }, { headers });
  return JSON.parse(Buffer.from(payload).toString()) as Record<string, unknown>;
}

async function workerPlugin(changes: Readonly<Record<string, unknown>> = {}): Promise<EchoPlugin> {
  const plugin = await copyEcho();
  await plugin.useContractPlugin();
  await plugin.setManifest({
    id: ID,
    isolation: { preferred: 'WORKER' },
    provides: [{ service: 'echo.v1.EchoService', extension: 'worker' }],
    capabilities: { secrets: ['password'], services: ['echo.v1.EchoService'], topics: ['contract.told'] },
    config: {
      type: 'object',
      properties: { hangsInStop: { type: 'boolean', default: false } },
    },
    ...changes,
  });
  return plugin;
}

describe('a plugin in a worker', function () {
  this.timeout(30_000);
  let kernel: TestKernel;
  let plugin: EchoPlugin;
  let neighbour: EchoPlugin;
  let client: Client<typeof EchoService>;

  before(async () => {
    plugin = await workerPlugin();
    neighbour = await copyEcho();
    await neighbour.setManifest({
      provides: [{ service: 'echo.v1.EchoService', extension: 'neighbour' }],
    });
    kernel = await startTestKernel({
      plugins: [plugin.directory, neighbour.directory],
      // A version from an earlier test would take over from one that crashes.
      config: { rollbackWindowMs: 0, plugins: { [ID]: { secrets: { password: 'CONTRACT_PASSWORD' } } } },
      environment: { ...process.env, CONTRACT_PASSWORD: 'open sesame' },
    });
    client = kernel.call(EchoService);
  });

  after(async () => {
    await kernel.stop();
    await plugin.remove();
    await neighbour.remove();
  });

  it('keeps, lists and deletes what it stores, over a reload too', async () => {
    const expected = { deleted: [true, false], count: 299, big: '2', bytes: [1, 2], missing: true };
    assert.deepEqual(await tell(client, 'store'), expected);
    await kernel.reload(ID);
    assert.deepEqual(await tell(client, 'store'), expected);
  });

  it('shows its metrics on the metrics port', async () => {
    await tell(client, 'measure');
    let text = '';
    // The worker sends samples a turn after it has answered.
    for (const endMs = Date.now() + 5_000; Date.now() < endMs && !text.includes('contract_counter{');) {
      text = await (await fetch(`http://${kernel.addresses.metrics}/metrics`)).text();
    }
    assert.match(text, /contract_counter\{kind="x"\} 3/);
    assert.match(text, /contract_gauge 7/);
    assert.match(text, /contract_histogram_bucket\{le="10"\} 1/);
  });

  it('reads a secret it was granted', async () => {
    assert.deepEqual(await tell(client, 'secret'), { secret: 'open sesame' });
  });

  it('calls another plugin', async () => {
    assert.deepEqual(await tell(client, 'neighbour'), { payload: 'hello' });
  });

  it('is started again when it throws where nobody catches, and calls in it fail with a pushback', async () => {
    await assert.rejects(tell(client, 'crash'), (error) => {
      assert.ok(isDeclaredError(error));
      assert.equal(error.code, Code.UNAVAILABLE);
      assert.match(error.message, /worker of plugin 'example\.worker'/);
      assert.ok((error.retryAfterMs ?? 0) > 0, 'no pushback');
      return true;
    });
    assert.match(kernel.describe(ID).reason, /its worker ended: uncaught Error: boom/);
    assert.deepEqual(await tell(client, 'secret'), { secret: 'open sesame' });
    assert.equal(kernel.describe(ID).restarts, 1);
  });
});

describe('a worker with a limit of memory', function () {
  this.timeout(60_000);

  it('is ended when it needs more, with the limit named, and the kernel lives on', async () => {
    const plugin = await workerPlugin({ resources: { memoryMib: 64 } });
    const kernel = await startTestKernel({ plugins: [plugin.directory] });
    await assert.rejects(
      tell(kernel.call(EchoService), 'fill'),
      (error) => isDeclaredError(error) && error.reason === 'LINK_LOST' && error.code === Code.UNAVAILABLE,
    );
    // Its heap has the same limit as all that it uses, and either is found first.
    assert.match(
      kernel.describe(ID).reason,
      /out of memory: (its heap reached 64 MiB; raise|it used \d+ MiB, its limit) resources\.memoryMib/,
    );
    assert.ok((await tell(kernel.call(EchoService), 'counts')) !== undefined);
    await kernel.stop();
    await plugin.remove();
  });
});

describe('a worker that does not stop', function () {
  this.timeout(60_000);

  it('is ended after the stop limit, also in an endless loop', async () => {
    const plugin = await workerPlugin();
    const kernel = await startTestKernel({ plugins: [plugin.directory] });
    await tell(kernel.call(EchoService), 'hang');
    const startMs = Date.now();
    await kernel.stop();
    // It was asked first, and would have ended at once if it could.
    assert.ok(Date.now() - startMs >= 4_900);
    await plugin.remove();
  });
});

describe('a plugin that cannot run in a worker', function () {
  this.timeout(30_000);

  it('is refused when it lists native packages, before its code is read', async () => {
    const plugin = await workerPlugin({ externals: ['lmdb'] });
    const kernel = await startTestKernel({ plugins: [] });
    await assert.rejects(
      kernel.load(plugin.directory),
      /isolation WORKER does not go with externals \(lmdb\).*use PROCESS/,
    );
    await kernel.stop();
    await plugin.remove();
  });

  it('says what its code does wrong when it does not start', async () => {
    const plugin = await workerPlugin();
    const file = path.join(plugin.directory, 'plugin.ts');
    const text = await readFile(file, 'utf8');
    const kernel = await startTestKernel({ plugins: [] });
    await writeFile(file, text.replace('host.serve(', "throw new Error('no table'); host.serve("));
    await assert.rejects(kernel.load(plugin.directory), /'example\.worker' did not start: no table/);
    await writeFile(file, text.replace('host.serve(EchoService, createService(host));', ''));
    await assert.rejects(
      kernel.load(plugin.directory),
      (error) => isDeclaredError(error) && error.reason === 'SERVICE_NOT_SERVED',
    );
    await kernel.stop();
    await plugin.remove();
  });
});
