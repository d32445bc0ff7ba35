import assert from 'node:assert/strict';
import { existsSync, watch } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { EchoService } from '../../examples/echo/gen/echo/v1/echo_service_pb.ts';
import { parseAddress, withService } from '../../kernel/cli/connect.ts';
import { Lamella, ROOT } from './lamella-process.ts';

const ECHO = path.join(ROOT, 'examples', 'echo');

interface Ready {
  readonly grpc: string;
  readonly http: string;
  readonly metrics: string;
  readonly pid: number;
}

describe('lamella start', function () {
  this.timeout(30_000);
  let folder = '';
  const started: Lamella[] = [];

  beforeEach(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'lamella-test-'));
  });

  afterEach(async () => {
    for (const lamella of started.splice(0)) {
      lamella.process.kill('SIGKILL');
      await lamella.ended;
    }
    await rm(folder, { recursive: true, force: true });
  });

  function lamella(...words: readonly string[]): Lamella {
    const child = new Lamella(words);
    started.push(child);
    return child;
  }

  function start(home: string, ...more: readonly string[]): Lamella {
    const ports = ['--grpc-port', '0', '--http-port', '0', '--metrics-port', '0'];
    return lamella('start', '--home', path.join(folder, home), ...ports, '--plugins', ECHO, ...more);
  }

  /** Reads the ready file as soon as it appears; fails if the process ends first. */
  async function ready(child: Lamella, file: string): Promise<Ready> {
    const appeared = new Promise<void>((resolve) => {
      const watcher = watch(folder, () => {
        if (!existsSync(file)) return;
        watcher.close();
        resolve();
      });
      if (existsSync(file)) {
        watcher.close();
        resolve();
      }
      void child.ended.then(() => {
        watcher.close();
      });
    });
    const early = child.ended.then(({ err }) => assert.fail(`ended before it was ready:\n${err}`));
    await Promise.race([appeared, early]);
    return JSON.parse(await readFile(file, 'utf8')) as Ready;
  }

  it('writes the ready file, answers plugin commands, and ends with 0 on SIGTERM', async () => {
    const file = path.join(folder, 'ready.json');
    const kernel = start('home', '--ready-file', file);
    const { grpc, http, metrics, pid } = await ready(kernel, file);
    assert.equal(pid, kernel.process.pid);
    for (const address of [grpc, http, metrics]) assert.match(address, /^127\.0\.0\.1:[1-9]\d*$/);

    const home = path.join(folder, 'home');
    const list = await lamella('plugin', 'list', '--json', '--address', grpc).ended;
    const [row] = JSON.parse(list.out) as { id: string; state: string }[];
    assert.deepEqual([list.code, row?.id, row?.state], [0, 'example.echo', 'ACTIVE']);
    const table = await lamella('plugin', 'list', '--address', grpc).ended;
    assert.match(table.out, /example\.echo +\S+ +ACTIVE/);

    const reloaded = await lamella('plugin', 'reload', 'example.echo', '--address', grpc, '--home', home)
      .ended;
    assert.match(reloaded.out, /^example\.echo \S+ is ACTIVE/);
    const missing = await lamella('plugin', 'reload', 'nobody', '--address', grpc, '--home', home).ended;
    assert.deepEqual([missing.code, missing.out], [1, '']);
    assert.match(missing.err, /No plugin 'nobody' is loaded[\s\S]*\[PLUGIN_NOT_FOUND\]/);
    const slip = await lamella('plugin', 'reload', 'exmple.echo', '--address', grpc, '--home', home).ended;
    assert.match(slip.err, /Did you mean\s+'example\.echo'\?/);
    const unloaded = await lamella('plugin', 'unload', 'example.echo', '--address', grpc, '--home', home)
      .ended;
    assert.equal(unloaded.out, 'example.echo is unloaded.\n');
    const loaded = await lamella('plugin', 'load', ECHO, '--json', '--address', grpc, '--home', home).ended;
    assert.equal((JSON.parse(loaded.out) as { state: string }).state, 'ACTIVE');

    kernel.process.kill('SIGTERM');
    const { code, out } = await kernel.ended;
    assert.equal(code, 0);
    assert.match(out, /^ready: http:\/\/127\.0\.0\.1:\d+\//m);
    assert.equal(existsSync(file), false, 'the ready file must not outlive the kernel');
  });

  it('refuses a home that another kernel uses, and names that process', async () => {
    const file = path.join(folder, 'ready.json');
    const first = start('home', '--ready-file', file);
    await ready(first, file);
    const { code, err } = await start('home').ended;
    assert.equal(code, 1);
    assert.match(err, new RegExp(`in use by process ${first.process.pid}[\\s\\S]*\\[HOME_IN_USE\\]`));
    assert.equal(existsSync(file), true, 'the first kernel keeps its ready file');
  });

  it('ends at once where its home cannot be (skipped without /proc)', async function () {
    if (!existsSync('/proc/self')) this.skip();
    const { code, err } = await lamella('start', '--home', '/proc/lamella/home').ended;
    assert.equal(code, 1);
    assert.match(
      err,
      /Nothing could be written under \/proc\/lamella\/home \(ENOENT[\s\S]*\[STORAGE_FAILED\]/,
    );
  });

  it('says which port is taken and how to choose another', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve);
    });
    try {
      const { port } = server.address() as { port: number };
      const { code, err } = await start('home', '--http-port', String(port)).ended;
      assert.equal(code, 1);
      assert.match(err, new RegExp(`127\\.0\\.0\\.1:${port}[\\s\\S]*--http-port[\\s\\S]*\\[PORT_IN_USE\\]`));
    } finally {
      server.close();
    }
  });

  it('starts nothing when a plugin manifest is broken, and says what is wrong', async () => {
    const broken = path.join(folder, 'broken');
    await mkdir(broken);
    await writeFile(path.join(broken, 'plugin.json'), '{ "id": ');
    const { code, err } = await start('home', '--plugins', broken).ended;
    assert.equal(code, 1);
    assert.match(err, /plugin\.json/);
  });

  it('lets a running call finish on SIGTERM', async () => {
    const file = path.join(folder, 'ready.json');
    const kernel = start('home', '--ready-file', file);
    const { grpc } = await ready(kernel, file);
    const payload = Buffer.from('still here');
    const answer = await withService(parseAddress(grpc), EchoService, async (echo) => {
      // An answered call first, so that the slow one travels on a connection that the kernel has accepted.
      await echo.say({ payload });
      const slow = echo.say({ payload, delayMs: 1500 });
      const overtaking = await echo.say({ payload });
      assert.deepEqual(Buffer.from(overtaking.payload), payload);
      kernel.process.kill('SIGTERM');
      return slow;
    });
    assert.deepEqual(Buffer.from(answer.payload), payload);
    assert.equal((await kernel.ended).code, 0);
  });

  it('stops at once on a second signal, though a call still runs', async () => {
    const file = path.join(folder, 'ready.json');
    const kernel = start('home', '--ready-file', file);
    const { grpc } = await ready(kernel, file);
    await withService(parseAddress(grpc), EchoService, async (echo) => {
      await echo.say({});
      const endless = echo.say({ delayMs: 3_600_000 }).catch((error: unknown) => error);
      await echo.say({});
      kernel.process.kill('SIGTERM');
      await kernel.stopping;
      kernel.process.kill('SIGTERM');
      assert.equal((await kernel.ended).code, 143);
      assert.ok((await endless) instanceof Error);
    });
  });
});
