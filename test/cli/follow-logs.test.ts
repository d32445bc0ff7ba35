import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { EchoService } from '../../examples/echo/gen/echo/v1/echo_service_pb.ts';
import { startTestKernel, type TestKernel } from '../../sdk/testing/index.ts';
import { copyEcho, type EchoPlugin } from '../support/echo-plugin.ts';
import { Lamella } from './lamella-process.ts';

const LINE = 'a line of the plugin';

describe('lamella plugin logs -f', function () {
  this.timeout(60_000);
  let home = '';
  let plugin: EchoPlugin;
  let kernel: TestKernel;
  let follower: Lamella;
  let shown = '';
  let told = '';
  let onOutput: () => void = () => undefined;

  before(async () => {
    home = await mkdtemp(path.join(tmpdir(), 'lamella-test-'));
    plugin = await copyEcho();
    await plugin.useContractPlugin();
    await start();
    follower = new Lamella(['plugin', 'logs', 'example.echo', '-f', '--lines', '0', '--home', home]);
    follower.process.stdout?.on('data', (chunk: Buffer) => {
      shown += chunk.toString();
      onOutput();
    });
    follower.process.stderr?.on('data', (chunk: Buffer) => {
      told += chunk.toString();
      onOutput();
    });
  });

  after(async () => {
    follower.process.kill('SIGKILL');
    await follower.ended;
    await kernel.stop();
    await plugin.remove();
    await rm(home, { recursive: true, force: true });
  });

  async function start(): Promise<void> {
    kernel = await startTestKernel({ home, plugins: [plugin.directory], config: { drainMs: 0 } });
  }

  async function until(isTrue: () => boolean): Promise<void> {
    while (!isTrue()) await new Promise<void>((resolve) => (onOutput = resolve));
  }

  const count = (): number => shown.split(LINE).length - 1;
  const write = (): Promise<unknown> => kernel.call(EchoService).say({ payload: Buffer.from('log') });

  it('goes on through reloads and restarts of the kernel, and shows no line twice', async () => {
    // It says nothing when it is in place, so lines are written until one arrives.
    for (; count() === 0;) {
      await write();
      await new Promise(setImmediate);
    }
    let before = count();
    await kernel.reload('example.echo');
    await write();
    await until(() => count() > before);
    await kernel.stop();
    await until(() => told.includes('waiting for the kernel'));
    await start();
    before = count();
    await write();
    await until(() => count() > before);
    assert.equal(count(), before + 1);
    assert.equal(told.split('waiting for the kernel').length, 2, told);
    follower.process.kill('SIGINT');
    assert.equal((await follower.ended).code, 0);
  });
});
