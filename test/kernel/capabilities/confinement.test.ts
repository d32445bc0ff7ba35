import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { availableParallelism } from 'node:os';
import type { AddressInfo } from 'node:net';
import { startTestKernel, type TestKernel } from '../../../sdk/testing/index.ts';
import type { EchoPlugin } from '../../support/echo-plugin.ts';
import { makeTextPlugin } from '../../support/text-plugin.ts';
import { attempt, ID, reachingPlugin } from './reaching-plugin.ts';

/** Whether this machine has what is tested; a container may forbid namespaces. */
function has(...[command = '', ...words]: string[]): boolean {
  return spawnSync(command, words).status === 0;
}

/** The right to read what the system says of processes. */
const PROC = { files: [{ path: '/proc' }] };

describe('a plugin process, held by the operating system', function () {
  this.timeout(30_000);
  let kernel: TestKernel;
  let plugin: EchoPlugin;
  let server: Server;
  let port: number;

  before(async () => {
    server = createServer((socket) => socket.end());
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve);
    });
    ({ port } = server.address() as AddressInfo);
  });

  after(async () => {
    await new Promise((resolve) => server.close(resolve));
  });

  afterEach(async () => {
    await kernel.stop();
    await plugin.remove();
  });

  async function start(changes: Readonly<Record<string, unknown>>): Promise<void> {
    plugin = await reachingPlugin(changes);
    kernel = await startTestKernel({
      plugins: [plugin.directory],
      config: { plugins: { [ID]: { isolation: 'PROCESS' } } },
    });
  }

  it('reaches no network at all without a granted host, not even by modules of Node', async function () {
    if (
      !has('unshare', '--net', 'true') &&
      !has('unshare', '--user', '--map-current-user', '--net', 'true')
    ) {
      this.skip();
    }
    await start({});
    assert.match(
      (await attempt(kernel, `connect ${port}`)).reason ?? '',
      /^E(NETUNREACH|ADDRNOTAVAIL|CONNREFUSED)$/,
    );
    assert.deepEqual(await attempt(kernel, 'secret none').then(({ reason }) => reason), 'CAPABILITY_DENIED');
  });

  it('has the network once a host is granted', async () => {
    await start({ capabilities: { network: ['example.com'] } });
    assert.deepEqual(await attempt(kernel, `connect ${port}`), { value: 'connected' });
  });

  it('has bounded open files, dumps no core, and runs on the cores of its manifest', async function () {
    if (!has('prlimit', '--version') || !has('taskset', '--version') || availableParallelism() < 2)
      this.skip();
    await start({ resources: { cores: 1 }, capabilities: PROC });
    const limits = String((await attempt(kernel, 'read /proc/self/limits')).value);
    assert.match(limits, /Max open files +4096 +4096/);
    assert.match(limits, /Max core file size +0 +0/);
    const status = String((await attempt(kernel, 'read /proc/self/status')).value);
    assert.match(status, /\nCpus_allowed_list:\t\d+\n/);
  });

  it('says so when its command does not exist', async () => {
    const text = await makeTextPlugin();
    await text.setManifest({ entry: { command: ['no-such-program'] } });
    await start({});
    await assert.rejects(kernel.load(text.directory), /not found|ENOENT/);
    await text.remove();
  });

  it('inherits no open file of the kernel and leads a process group of its own', async () => {
    await start({ capabilities: PROC });
    const files = (await attempt(kernel, 'files')).value as string[];
    assert.ok(files.length > 3);
    assert.deepEqual(
      files.filter((file) => file.startsWith(kernel.home) || file.endsWith('.mdb')),
      [],
    );
    const { pid } = kernel.describe(ID);
    const [, group] = (await readFile(`/proc/${pid}/stat`, 'utf8')).split(') ')[1]?.split(' ').slice(1) ?? [];
    assert.equal(Number(group), pid);
  });
});
