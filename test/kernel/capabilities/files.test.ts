import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { EventService } from '../../../proto/gen/lamella/kernel/v1/event_service_pb.ts';
import { startTestKernel, type TestKernel } from '../../../sdk/testing/index.ts';
import type { EchoPlugin } from '../../support/echo-plugin.ts';
import { runLamella } from '../../support/run-lamella.ts';
import { attempt, ID, reachingPlugin } from './reaching-plugin.ts';

describe('the files of a plugin process', function () {
  this.timeout(60_000);
  let kernel: TestKernel;
  let plugin: EchoPlugin;
  let folder: string;
  let file: string;

  beforeEach(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'lamella-granted-'));
    file = path.join(folder, 'note.txt');
    await writeFile(file, 'hello');
  });

  afterEach(async () => {
    await kernel.stop();
    await plugin.remove();
    await rm(folder, { recursive: true, force: true });
  });

  async function start(asked: object, granted?: object): Promise<void> {
    plugin = await reachingPlugin({ capabilities: asked });
    const capabilities = granted === undefined ? {} : { capabilities: granted };
    kernel = await startTestKernel({
      plugins: [plugin.directory],
      config: { plugins: { [ID]: { isolation: 'PROCESS', ...capabilities } } },
    });
  }

  const reasonOf = async (command: string): Promise<string | undefined> =>
    (await attempt(kernel, command)).reason;

  it('are its own only, and what it reaches for beyond is denied with the way to grant it', async () => {
    await start({});
    const audit = kernel
      .call(EventService)
      .subscribe({ topics: ['kernel.audit'] })
      [Symbol.asyncIterator]();
    await audit.next();
    const { reason, message = '' } = await attempt(kernel, `read ${file}`);
    assert.equal(reason, 'CAPABILITY_DENIED');
    assert.ok(message.includes(`may not use 'read ${file}' (capability files)`), message);
    assert.ok(message.includes(`"files":[{"path":"${file}","write":false}]`), message);
    const { value } = await audit.next();
    assert.match(JSON.stringify(value?.event?.payload), /files read /);
    await audit.return?.();
    for (const command of [
      `write ${file}`,
      `write ${plugin.directory}/plugin.ts`,
      `list ${kernel.home}`,
      `read ${kernel.home}/config.json`,
      'run true',
    ]) {
      assert.equal(await reasonOf(command), 'CAPABILITY_DENIED', command);
    }
    assert.deepEqual(
      await attempt(kernel, `read ${plugin.directory}/plugin.json`).then(({ reason: none }) => none),
      undefined,
    );
    assert.deepEqual(await attempt(kernel, 'store kept'), { value: 'kept' });
    assert.deepEqual(await attempt(kernel, 'temporary'), { value: 'written' });
    assert.equal(await readFile(file, 'utf8'), 'hello');
  });

  it('are those it asks for, to read unless it asks to write', async () => {
    await start({ files: [{ path: folder }] });
    assert.deepEqual(await attempt(kernel, `read ${file}`), { value: 'hello' });
    assert.deepEqual(await attempt(kernel, `list ${folder}`), { value: ['note.txt'] });
    assert.equal(await reasonOf(`write ${file}`), 'CAPABILITY_DENIED');
  });

  it('are what the operator grants instead, also relative to the home, and so are programs', async () => {
    await start(
      { files: [{ path: '/', write: true }] },
      { files: [{ path: folder, write: true }, { path: 'config.json' }], processes: true },
    );
    assert.deepEqual(await attempt(kernel, `write ${file}`), { value: 'written' });
    assert.equal(await readFile(file, 'utf8'), 'by the plugin');
    assert.match(
      String((await attempt(kernel, `read ${kernel.home}/config.json`)).value),
      /"isolation":"PROCESS"/,
    );
    assert.equal(await reasonOf('read /etc/hostname'), 'CAPABILITY_DENIED');
    assert.deepEqual(await attempt(kernel, 'run true'), { value: 0 });
    const { out } = await runLamella(['plugin', 'capabilities', ID, '--json', '--home', kernel.home]);
    const { rights } = JSON.parse(out) as { rights: { capability: string; heldBy: string }[] };
    assert.equal(rights.find(({ capability }) => capability === 'files')?.heldBy, "Node's permission model");
  });
});
