import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { chmod, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { Installations } from '../../../kernel/packaging/installations.ts';
import { type HomeKernel, Installer } from '../../../kernel/packaging/installer.ts';
import { readLockFile } from '../../../kernel/packaging/lock-file.ts';
import { readPackage } from '../../../kernel/packaging/package-folder.ts';
import { TrustStore } from '../../../kernel/packaging/trust-store.ts';
import { manifestText, Sandbox } from './archives.ts';

/** A kernel that notes what it is told. */
class NotingKernel implements HomeKernel {
  readonly told: string[] = [];
  failure: Error | undefined;
  /** Folder that a rollback brings back. */
  standby: string | undefined;

  async load(_id: string, directory: string): Promise<void> {
    this.told.push(`load ${path.basename(directory).replace(/-[0-9a-f]{16}$/, '')}`);
    if (this.failure !== undefined) throw this.failure;
  }
  async unload(id: string): Promise<void> {
    if (this.failure !== undefined) throw this.failure;
    this.told.push(`unload ${id}`);
  }
  async rollBack(): Promise<string | undefined> {
    this.told.push('rollback');
    return this.standby;
  }
}

describe('installed plugins', () => {
  let sandbox: Sandbox;
  let home: string;
  let installations: Installations;
  let kernel: NotingKernel;
  let installer: Installer;

  beforeEach(async () => {
    sandbox = await Sandbox.create();
    home = sandbox.path('home');
    installations = new Installations(home);
    kernel = new NotingKernel();
    const trust = new TrustStore(home);
    await trust.add(['test.hello']);
    installer = new Installer({ home, kernel, trust, environment: process.env, progress: () => undefined });
  });
  afterEach(() => sandbox.remove());

  async function source(version: string): Promise<string> {
    const folder = sandbox.path(`source-${version}`);
    await mkdir(folder);
    await writeFile(path.join(folder, 'plugin.json'), manifestText(version));
    await writeFile(path.join(folder, 'run.sh'), `#!/bin/sh\n# ${version}\n`);
    await chmod(path.join(folder, 'run.sh'), 0o755);
    return folder;
  }
  async function versions(): Promise<string[]> {
    const found = await readdir(path.join(home, 'installed/test.hello')).catch(() => []);
    return found.map((name) => name.replace(/-[0-9a-f]{16}$/, '')).toSorted();
  }
  async function current(): Promise<string | undefined> {
    return (await readLockFile(home))['test.hello']?.version;
  }

  it('lie in a folder named by their content, written down with source, digest and signer', async () => {
    const folder = await source('1.0.0');
    const { installed, directory, replaced } = await installer.install(folder, {});
    assert.equal(replaced, undefined);
    const { version, source: from, digest, signer } = installed;
    assert.deepEqual({ version, from, signer }, { version: '1.0.0', from: `file:${folder}`, signer: null });
    assert.equal((await readPackage(directory)).digest, digest);
    assert.equal((await stat(path.join(directory, 'run.sh'))).mode & 0o777, 0o500);
    assert.deepEqual((await readLockFile(home))['test.hello'], installed);
    assert.deepEqual(kernel.told, ['load 1.0.0']);
    assert.deepEqual(await readdir(path.join(home, 'installed')), ['test.hello']);
  });

  it('keep the versions before for a rollback, which can be undone by another', async () => {
    for (const version of ['1.0.0', '1.1.0', '2.0.0']) await installer.install(await source(version), {});
    assert.equal((await installer.rollBack('test.hello')).installed.version, '1.1.0');
    assert.equal(await current(), '1.1.0');
    assert.equal((await installer.rollBack('test.hello')).installed.version, '2.0.0');
    assert.equal((await installer.rollBack('test.hello', '1.0.0')).replaced?.version, '2.0.0');
    assert.deepEqual(await versions(), ['1.0.0', '1.1.0', '2.0.0']);
    await assert.rejects(installer.rollBack('test.hello', '9.0.0'), /kept: 2\.0\.0, 1\.1\.0/);
  });

  it('go back at once when the kernel holds the version before ready', async () => {
    const first = await installer.install(await source('1.0.0'), {});
    await installer.install(await source('2.0.0'), {});
    kernel.told.length = 0;
    kernel.standby = first.directory;
    await installer.rollBack('test.hello');
    assert.deepEqual(kernel.told, ['rollback']);
  });

  it('stay as they were when the kernel cannot start the new version', async () => {
    await installer.install(await source('1.0.0'), {});
    kernel.failure = new Error('it does not start');
    await assert.rejects(installer.install(await source('2.0.0'), {}), /does not start/);
    assert.equal(await current(), '1.0.0');
    assert.deepEqual(await versions(), ['1.0.0']);
    await assert.rejects(installer.remove('test.hello'), /does not start/);
    assert.equal(await current(), '1.0.0');
  });

  it('go with all their versions when they are removed', async () => {
    for (const version of ['1.0.0', '2.0.0']) await installer.install(await source(version), {});
    await installer.remove('test.hello');
    assert.deepEqual(await readLockFile(home), {});
    assert.deepEqual(await readdir(path.join(home, 'installed')), []);
    await assert.rejects(installer.remove('test.hello'), { name: 'NOT_INSTALLED' });
    await assert.rejects(installer.rollBack('test.hello'), { name: 'NOT_INSTALLED' });
  });

  it('are at most three versions beside the present one', async () => {
    for (const minor of [1, 2, 3, 4, 5]) await installer.install(await source(`1.${minor}.0`), {});
    assert.deepEqual(await versions(), ['1.2.0', '1.3.0', '1.4.0', '1.5.0']);
  });

  it('cannot be rolled back to files that were changed', async () => {
    const first = await installer.install(await source('1.0.0'), {});
    await installer.install(await source('2.0.0'), {});
    await chmod(path.join(first.directory, 'run.sh'), 0o700);
    await writeFile(path.join(first.directory, 'run.sh'), 'evil');
    await assert.rejects(installer.rollBack('test.hello'), { name: 'PACKAGE_INVALID' });
    assert.equal(await current(), '2.0.0');
  });

  it('are repaired by installing the same package again', async () => {
    const folder = await source('1.0.0');
    const { directory } = await installer.install(folder, {});
    await chmod(path.join(directory, 'run.sh'), 0o700);
    await writeFile(path.join(directory, 'run.sh'), 'evil');
    await installer.install(folder, {});
    await readPackage(directory);
    assert.deepEqual((await readLockFile(home))['test.hello']?.previous, []);
  });

  it('are not what nobody vouches for, unless the operator does', async () => {
    const trust = new TrustStore(home);
    await trust.remove(['test.hello']);
    const folder = await source('1.0.0');
    await assert.rejects(installer.install(folder, {}), (error: Error) => {
      assert.equal(error.name, 'PACKAGE_UNTRUSTED');
      assert.match(error.message, /not signed; 'lamella trust add sha256:[0-9a-f]{64}'.* --trust/);
      return true;
    });
    assert.deepEqual(await readLockFile(home), {});
    const { installed } = await installer.install(folder, { trust: true });
    assert.deepEqual((await trust.read()).digests, [installed.digest]);
  });

  it('say that they need another kernel', async () => {
    const folder = await source('1.0.0');
    const manifest = { ...(JSON.parse(manifestText()) as object), kernel: '^99.0.0' };
    await writeFile(path.join(folder, 'plugin.json'), JSON.stringify(manifest));
    await assert.rejects(installer.install(folder, {}), /needs a kernel \^99\.0\.0/);
  });

  it('are changed by one command at a time', async () => {
    const other = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)']);
    await mkdir(home, { recursive: true });
    await writeFile(path.join(home, 'install.lock'), `${other.pid} ${await startTime(other.pid)}\n`);
    await assert.rejects(installer.install(await source('1.0.0'), {}), { name: 'INSTALL_BUSY' });
    other.kill('SIGKILL');
    await new Promise((resolve) => {
      other.once('exit', resolve);
    });
    await installer.install(await source('2.0.0'), {});
  });

  it('are not lost when the list of them is damaged: it says so', async () => {
    await installer.install(await source('1.0.0'), {});
    const lockFile = path.join(home, 'lamella.lock.json');
    const whole = await readFile(lockFile, 'utf8');
    const hostile = whole.replace('"test.hello"', '"../../evil"');
    for (const text of [whole.slice(0, 50), '[]', hostile, whole.replace('1.0.0', '../../../evil')]) {
      await writeFile(lockFile, text);
      await assert.rejects(installer.remove('test.hello'), { name: 'LOCK_FILE_INVALID' });
    }
    assert.deepEqual(await versions(), ['1.0.0']);
  });

  it('are whole whenever the command is killed', async function () {
    this.timeout(60_000);
    const child = path.join(import.meta.dirname, 'install-loop.js');
    const folders = [await source('1.0.0'), await source('2.0.0')];
    for (let round = 0; round < 6; round += 1) {
      const loop = spawn(process.execPath, [child, home, ...folders], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      await new Promise((resolve) => {
        loop.stdout.once('data', resolve);
      });
      // A different moment each time, without a clock.
      for (let turn = 0; turn < round * 61; turn += 1) await setImmediate();
      loop.kill('SIGKILL');
      await new Promise((resolve) => {
        loop.once('exit', resolve);
      });
      const plugin = await installations.get('test.hello');
      for (const version of [plugin, ...plugin.previous]) {
        const sound = await readPackage(installations.directoryOf('test.hello', version));
        assert.equal(sound.digest, version.digest);
      }
    }
    await installer.install(folders[0] ?? '', {});
    const left = await readdir(path.join(home, 'installed'));
    assert.deepEqual(left, ['test.hello'], 'a later command removes what a killed one left');
  });
});

async function startTime(pid: number | undefined): Promise<string> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  return text.slice(text.lastIndexOf(')') + 2).split(' ')[19] ?? '';
}
