import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import { createHash } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { EchoService } from '../../examples/echo/gen/echo/v1/echo_service_pb.ts';
import { createKernel, type Kernel } from '../../kernel/kernel.ts';
import { pack } from '../../kernel/packaging/pack.ts';
import { copyEcho, type EchoPlugin } from '../support/echo-plugin.ts';
import { type Captured, runLamella } from '../support/run-lamella.ts';

describe('lamella plugin install, installed, rollback, remove and lamella trust', () => {
  let echo: EchoPlugin;
  let home: string;
  let kernel: Kernel | undefined;
  const beside = (name: string): string => path.join(path.dirname(echo.directory), name);

  beforeEach(async () => {
    echo = await copyEcho();
    home = beside('home');
  });
  afterEach(async () => {
    await kernel?.stop();
    kernel = undefined;
    await echo.remove();
  });

  const lamella = (...words: string[]): Promise<Captured> =>
    runLamella([...words, '--home', home], {
      environment: { PATH: process.env['PATH'] ?? '', HOME: beside('user') },
    });
  async function json(...words: string[]): Promise<Record<string, unknown>> {
    const { code, out, err } = await lamella(...words, '--json');
    assert.equal(code, 0, err);
    return JSON.parse(out) as Record<string, unknown>;
  }
  async function archive(version: string): Promise<string> {
    await echo.setVersion(version);
    const file = beside(`echo-${version}.tgz`);
    await pack(echo.directory, { file });
    return file;
  }
  async function start(): Promise<Kernel> {
    kernel = createKernel({ home, grpcPort: 0, httpPort: 0, metricsPort: 0, logLevel: 'error' });
    await kernel.start();
    return kernel;
  }
  const version = (running: Kernel): string => running.plugins.record('example.echo').manifest.version;

  it('refuse what nobody vouches for, and say what to do', async () => {
    const { code, err } = await lamella('plugin', 'install', await archive('1.0.0'));
    assert.equal(code, 1);
    const text = err.replaceAll(/\s+/g, ' ');
    assert.match(
      text,
      /fetching .* checking example\.echo 1\.0\.0 \.\.\. error: 'example\.echo' is not installed/,
    );
    assert.match(
      text,
      /'lamella trust add sha256:\w+' if you know who made it, or give --trust .*\[PACKAGE_UNTRUSTED\]/,
    );
    assert.deepEqual(await json('plugin', 'installed'), {});
  });

  it('install what a trusted key has signed, and the next start loads it', async () => {
    await runLamella(['plugin', 'keygen', beside('me')]);
    const file = await archive('1.0.0');
    await runLamella(['plugin', 'sign', file, '--key', beside('me.key')]);
    const trusted = await json('trust', 'add', beside('me.pub'));
    const { signer, isLoaded } = await json('plugin', 'install', file);
    assert.deepEqual([signer], trusted['entries']);
    assert.equal(isLoaded, false);
    assert.equal(version(await start()), '1.0.0');
  });

  it('say beforehand what would happen, and change nothing', async () => {
    const file = await archive('1.0.0');
    const plan = await json('plugin', 'install', file, '--trust', '--dry-run');
    assert.equal(plan['version'], '1.0.0');
    assert.equal(plan['replaces'], null);
    assert.deepEqual(await json('plugin', 'installed'), {});
    assert.deepEqual((await json('trust', 'list'))['digests'], []);
    await lamella('plugin', 'install', file, '--trust');
    const { out } = await lamella('plugin', 'install', await archive('2.0.0'), '--trust', '--dry-run');
    assert.match(out, /example\.echo 2\.0\.0 would be installed in place of 1\.0\.0:/);
    assert.match(out, /not signed\n {2}no kernel runs here/);
    assert.match((await lamella('plugin', 'remove', 'example.echo', '--dry-run')).out, /would be removed/);
    assert.ok('example.echo' in (await json('plugin', 'installed')));
  });

  it('upgrade, roll back and remove in a running kernel without losing a call', async () => {
    await lamella('plugin', 'install', await archive('1.0.0'), '--trust');
    const running = await start();
    let isOver = false;
    let calls = 0;
    const load = (async (): Promise<void> => {
      const client = running.call(EchoService);
      for (; !isOver; calls += 1) await client.say({ payload: Buffer.from('x'), delayMs: 1 });
    })();
    const upgraded = await json('plugin', 'install', await archive('2.0.0'), '--trust');
    assert.deepEqual([upgraded['replaced'], upgraded['isLoaded']], ['1.0.0', true]);
    assert.equal(version(running), '2.0.0');
    const back = await lamella('plugin', 'rollback', 'example.echo');
    assert.match(back.out, /example\.echo 1\.0\.0 is back, in place of 2\.0\.0\.\nIt serves now\./, back.err);
    assert.equal(version(running), '1.0.0');
    await lamella('plugin', 'rollback', 'example.echo', '--to', '2.0.0');
    assert.equal(version(running), '2.0.0');
    isOver = true;
    await load;
    assert.ok(calls > 0);
    const { code, out, err } = await lamella('plugin', 'remove', 'example.echo');
    assert.equal(code, 0, err);
    assert.match(out, /example\.echo 2\.0\.0 is removed; what it has stored stays\./);
    assert.deepEqual(running.plugins.records, []);
    assert.deepEqual(await json('plugin', 'installed'), {});
  });

  it('leave everything as it was when the running kernel cannot start the new version', async () => {
    await lamella('plugin', 'install', await archive('1.0.0'), '--trust');
    const running = await start();
    await writeFile(path.join(echo.directory, 'plugin.ts'), "throw new Error('this version is broken');");
    const { code, err } = await lamella('plugin', 'install', await archive('2.0.0'), '--trust');
    assert.equal(code, 1);
    assert.match(err, /this version is broken/);
    assert.equal(version(running), '1.0.0');
    await kernel?.stop();
    assert.equal(version(await start()), '1.0.0');
  });

  it('take back only what was loaded by hand over an installed version', async () => {
    await lamella('plugin', 'install', await archive('1.0.0'), '--trust');
    await lamella('plugin', 'install', await archive('2.0.0'), '--trust');
    const running = await start();
    await echo.setVersion('3.0.0-work');
    await lamella('plugin', 'load', echo.directory);
    assert.equal(version(running), '3.0.0-work');
    assert.match((await lamella('plugin', 'rollback', 'example.echo')).out, /example\.echo 2\.0\.0 is back/);
    assert.equal(version(running), '2.0.0');
    await kernel?.stop();
    assert.equal(version(await start()), '2.0.0');
  });

  it('list what is installed with its source and the kept versions', async () => {
    assert.match((await lamella('plugin', 'installed')).out, /Nothing is installed/);
    const files = [await archive('1.0.0'), await archive('2.0.0')];
    for (const file of files) await lamella('plugin', 'install', file, '--trust');
    assert.equal(
      (await lamella('plugin', 'installed')).out,
      `example.echo 2.0.0 from file:${files[1]} (kept: 1.0.0)`,
    );
  });

  it('end with 1 and a sentence for what is not there', async () => {
    for (const words of [
      ['remove', 'no.such'],
      ['rollback', 'no.such', '--to', '1.0.0'],
    ]) {
      const { code, err } = await lamella('plugin', ...words);
      assert.equal(code, 1);
      assert.match(err, /NOT_INSTALLED/);
    }
    assert.match((await lamella('plugin', 'install', beside('none.tgz'))).err, /there is\s+no such file/);
    assert.match((await lamella('trust', 'add', 'Nonsense')).err, /TRUST_INVALID/);
  });

  describe('from npm', () => {
    let registry: Server;
    let tarball: Buffer;
    beforeEach(async () => {
      await writeFile(
        path.join(echo.directory, 'package.json'),
        JSON.stringify({
          name: '@acme/echo',
          version: '1.0.0',
          scripts: { postinstall: `touch ${beside('script-ran')}`, prepare: `touch ${beside('script-ran')}` },
        }),
      );
      tarball = await readFile(await archive('1.0.0'));
      registry = createServer((request, response) => {
        const base = `http://127.0.0.1:${(registry.address() as AddressInfo).port}`;
        if (request.url?.endsWith('.tgz') === true) response.end(tarball);
        else if (decodeURIComponent(request.url ?? '') !== '/@acme/echo') response.writeHead(404).end('{}');
        else response.end(JSON.stringify(packument(base)));
      }).listen(0, '127.0.0.1');
      await new Promise((resolve) => {
        registry.once('listening', resolve);
      });
      await mkdir(beside('user'));
      const { port } = registry.address() as AddressInfo;
      await writeFile(beside('user/.npmrc'), `registry=http://127.0.0.1:${port}/\nfetch-retries=0\n`);
    });
    afterEach(() => {
      registry.closeAllConnections();
      registry.close();
    });

    function packument(base: string): object {
      const integrity = `sha512-${createHash('sha512').update(tarball).digest('base64')}`;
      const dist = { tarball: `${base}/@acme/echo/-/echo-1.0.0.tgz`, integrity };
      const version = { name: '@acme/echo', version: '1.0.0', dist };
      return { name: '@acme/echo', 'dist-tags': { latest: '1.0.0' }, versions: { '1.0.0': version } };
    }

    it('come by the own npm, and no script of theirs runs', async function () {
      this.timeout(60_000);
      const installed = await json('plugin', 'install', 'npm:@acme/echo@^1', '--trust');
      assert.deepEqual([installed['version'], installed['source']], ['1.0.0', 'npm:@acme/echo@^1']);
      await assert.rejects(readFile(beside('script-ran')), { code: 'ENOENT' });
      assert.equal(version(await start()), '1.0.0');
    });

    it('are refused with the sentence of npm, or when the name is none', async function () {
      this.timeout(60_000);
      const missing = await lamella('plugin', 'install', 'npm:@acme/nothing');
      assert.equal(missing.code, 1);
      assert.match(missing.err.replaceAll(/\s+/g, ' '), /'@acme\/nothing' cannot be fetched: .*404/);
      for (const name of ['npm:-g', 'npm:../x', 'npm:file:/etc', 'npm:a@git+ssh://b', 'npm:', 'npm:a@;ls']) {
        assert.match((await lamella('plugin', 'install', name)).err, /it must be\s+NAME/, name);
      }
    });
  });
});
