import assert from 'node:assert/strict';
import { chmod, cp, mkdir, rename, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { createKernel, type Kernel } from '../../kernel/kernel.ts';
import { Installer } from '../../kernel/packaging/installer.ts';
import { generateKeys } from '../../kernel/packaging/signature.ts';
import { signPackage } from '../../kernel/packaging/pack.ts';
import { TrustStore } from '../../kernel/packaging/trust-store.ts';
import { PluginService, PluginState } from '../../proto/gen/lamella/kernel/v1/plugin_service_pb.ts';
import { EchoService } from '../../examples/echo/gen/echo/v1/echo_service_pb.ts';
import { Sandbox } from './packaging/archives.ts';
import { ROOT } from '../support/echo-plugin.ts';

describe('a kernel and plugins that nobody vouches for', () => {
  let sandbox: Sandbox;
  let home: string;
  let folder: string;
  let kernel: Kernel | undefined;
  let trust: TrustStore;

  beforeEach(async () => {
    sandbox = await Sandbox.create();
    home = sandbox.path('home');
    folder = sandbox.path('echo');
    await mkdir(home);
    await cp(path.join(ROOT, 'examples/echo'), folder, { recursive: true });
    trust = new TrustStore(home);
  });
  afterEach(async () => {
    await kernel?.stop();
    kernel = undefined;
    await sandbox.remove();
  });

  async function start(options: { given?: string[]; isDevelopment?: boolean } = {}): Promise<Kernel> {
    kernel = createKernel({
      home,
      grpcPort: 0,
      httpPort: 0,
      metricsPort: 0,
      logLevel: 'error',
      pluginDirectories: options.given ?? [],
      isDevelopment: options.isDevelopment ?? false,
    });
    await kernel.start();
    return kernel;
  }
  async function stop(): Promise<void> {
    await kernel?.stop();
    kernel = undefined;
  }
  async function strict(): Promise<void> {
    await writeFile(path.join(home, 'config.json'), '{ "trust": { "mode": "strict" } }');
  }
  /** Installs the folder as the command does while no kernel runs. */
  async function install(): Promise<string> {
    const nothing = async (): Promise<undefined> => undefined;
    const installer = new Installer({
      home,
      kernel: { load: nothing, unload: nothing, rollBack: nothing },
      trust,
      environment: process.env,
      progress: () => undefined,
    });
    return (await installer.install(folder, { trust: true })).directory;
  }
  function stateOf(running: Kernel): { state: string; reason: string } {
    const { state, reason } = running.plugins.record('example.echo');
    return { state, reason };
  }
  async function say(running: Kernel): Promise<string> {
    const { payload } = await running.call(EchoService).say({ payload: Buffer.from('hello') });
    return Buffer.from(payload).toString();
  }

  it('starts what is installed, and nothing of it is compiled', async () => {
    const directory = await install();
    const running = await start();
    assert.equal(await say(running), 'hello');
    assert.equal(running.plugins.record('example.echo').directory, directory);
  });

  it('keeps an installed plugin whose files were changed in quarantine, and serves the others', async () => {
    const directory = await install();
    await chmod(path.join(directory, 'plugin.cjs'), 0o700);
    await writeFile(path.join(directory, 'plugin.cjs'), 'throw new Error("this code must never run")');
    const running = await start();
    const { state, reason } = stateOf(running);
    assert.equal(state, 'QUARANTINED');
    assert.match(reason, /the file 'plugin\.cjs' was changed; install it again, or 'lamella plugin rollback/);
    const { plugins } = await running.call(PluginService).listPlugins({});
    assert.deepEqual(
      plugins.map(({ id }) => id),
      ['example.echo'],
    );
    await assert.rejects(say(running), { name: 'SERVICE_NOT_FOUND' });
    await running.plugins.unload('example.echo');
  });

  it('does not take digests that were made anew for changed files', async () => {
    const directory = await install();
    await trust.add(['example.echo']);
    await chmod(path.join(directory, 'plugin.cjs'), 0o700);
    await writeFile(path.join(directory, 'plugin.cjs'), 'throw new Error("this code must never run")');
    const keys = generateKeys();
    await chmod(path.join(directory, 'digests.json'), 0o600);
    await signPackage(directory, { pem: keys.privatePem, file: 'x' });
    assert.match(stateOf(await start()).reason, /its content is not what was installed/);
  });

  it('lets an installed plugin out of quarantine when the operator trusts it, without a restart', async () => {
    const directory = await install();
    const { digests } = await trust.read();
    await trust.remove(digests);
    const running = await start();
    assert.equal(stateOf(running).state, 'QUARANTINED');
    await assert.rejects(running.plugins.reload('example.echo'), { name: 'PLUGIN_QUARANTINED' });
    await trust.add(digests);
    await running.plugins.reload('example.echo');
    assert.equal(stateOf(running).state, 'ACTIVE');
    assert.equal(await say(running), 'hello');
    assert.equal(running.plugins.record('example.echo').directory, directory);
  });

  it('loads a folder of its own user by hand, and in the mode strict only what is signed by a trusted key', async () => {
    const first = await start();
    await first.plugins.load(folder);
    assert.equal(await say(first), 'hello');
    await stop();
    await strict();
    const running = await start();
    await assert.rejects(running.plugins.load(folder), (error: Error) => {
      assert.equal(error.name, 'PLUGIN_QUARANTINED');
      assert.match(error.message, /not signed; 'lamella trust add example\.echo'.* or 'lamella start --dev'/);
      return true;
    });
    assert.equal(stateOf(running).state, 'QUARANTINED');
    const keys = generateKeys();
    await signPackage(folder, { pem: keys.privatePem, file: 'x' });
    await assert.rejects(running.plugins.load(folder), /its signer ed25519:.* is not trusted/);
    await trust.add([keys.name]);
    await running.plugins.load(folder);
    assert.equal(await say(running), 'hello');
  });

  it('keeps the version in service when a changed one may not take its place', async () => {
    await strict();
    const keys = generateKeys();
    await signPackage(folder, { pem: keys.privatePem, file: 'x' });
    await trust.add([keys.name]);
    const running = await start({ given: [folder] });
    await writeFile(path.join(folder, 'service.ts'), 'throw new Error("this code must never run")');
    await assert.rejects(running.plugins.reload('example.echo'), { name: 'PLUGIN_QUARANTINED' });
    assert.equal(stateOf(running).state, 'ACTIVE');
    assert.match(stateOf(running).reason, /'service\.ts' was changed/);
    assert.equal(await say(running), 'hello');
  });

  it('does not start a plugin again whose files were changed while it ran', async () => {
    const settings = { trust: { mode: 'local' }, plugins: { 'example.echo': { isolation: 'PROCESS' } } };
    await writeFile(path.join(home, 'config.json'), JSON.stringify(settings));
    const directory = await install();
    const running = await start();
    const record = running.plugins.record('example.echo');
    await chmod(path.join(directory, 'plugin.cjs'), 0o700);
    await writeFile(path.join(directory, 'plugin.cjs'), 'throw new Error("this code must never run")');
    const watching = new AbortController();
    const changes = running.call(PluginService).watchPlugins({}, { signal: watching.signal });
    process.kill(record.slot.instance?.pid ?? 0, 'SIGKILL');
    for await (const { plugin } of changes) if (plugin?.state === PluginState.QUARANTINED) break;
    watching.abort();
    assert.match(stateOf(running).reason, /'plugin\.cjs' was changed/);
    await assert.rejects(say(running), { name: 'PLUGIN_NOT_READY' });
  });

  it('goes by the last list that it could read while the configuration is being edited', async () => {
    await install();
    const running = await start();
    await writeFile(path.join(home, 'config.json'), '{ "trust": ');
    await running.plugins.reload('example.echo');
    assert.equal(await say(running), 'hello');
  });

  it('does not load by hand what others can write, unless it is started for development', async () => {
    await chmod(folder, 0o777);
    await assert.rejects((await start()).plugins.load(folder), /can be written by everybody/);
    await stop();
    const running = await start({ isDevelopment: true });
    await running.plugins.load(folder);
    assert.equal(await say(running), 'hello');
  });

  it('is not fooled by a link from a folder of its own', async () => {
    await strict();
    const link = sandbox.path('link');
    await symlink(folder, link);
    await assert.rejects((await start()).plugins.load(link), { name: 'PLUGIN_QUARANTINED' });
  });

  it('does not let a quarantined plugin take the services of others, nor keep the kernel from starting', async () => {
    await strict();
    const twin = sandbox.path('twin');
    await cp(folder, twin, { recursive: true });
    await writeFile(
      path.join(twin, 'plugin.json'),
      JSON.stringify({
        id: 'example.twin',
        version: '1.0.0',
        entry: { module: 'plugin.ts' },
        isolation: { preferred: 'INLINE' },
        provides: [{ service: 'echo.v1.EchoService' }],
        requires: [{ service: 'nobody.v1.HasThisService' }],
      }),
    );
    await trust.add(['example.echo']);
    const running = await start({ given: [folder, twin] });
    assert.equal(running.plugins.record('example.twin').state, 'QUARANTINED');
    assert.equal(await say(running), 'hello');
    await running.plugins.unload('example.twin');
    assert.equal(await say(running), 'hello');
  });

  it('starts the installed version instead of one that was named, and one loaded by hand instead of both', async () => {
    await install();
    const first = await start({ given: [folder] });
    assert.match(first.plugins.record('example.echo').directory, /installed/);
    const moved = sandbox.path('moved');
    await rename(folder, moved);
    await first.call(PluginService).loadPlugin({ directory: moved });
    await stop();
    assert.equal((await start()).plugins.record('example.echo').directory, moved);
  });
});
