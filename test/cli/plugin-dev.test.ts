import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { startTestKernel } from '../../sdk/testing/index.ts';
import { type MadePlugin, makePlugin } from '../support/template-folder.ts';
import { Lamella } from './lamella-process.ts';

describe('lamella plugin dev', function () {
  this.timeout(60_000);
  let made: MadePlugin;
  let running: Lamella | undefined;

  beforeEach(async () => {
    made = await makePlugin('typescript', 'hello');
  });

  afterEach(async () => {
    running?.process.kill('SIGKILL');
    await running?.ended;
    running = undefined;
    await made.remove();
  });

  async function edit(file: string, change: (text: string) => string): Promise<void> {
    const target = path.join(made.directory, file);
    await writeFile(target, change(await readFile(target, 'utf8')));
  }

  it('serves a plugin, takes it anew after a save, and serves on when a save is broken', async () => {
    running = new Lamella(['plugin', 'dev', made.directory, '--grpc-port', '0', '--http-port', '0']);
    await running.printed('example.hello 0.1.0 is ACTIVE (INLINE)');
    await edit('plugin.json', (text) => text.replace('"0.1.0"', '"0.2.0"'));
    await running.printed('example.hello 0.2.0 is ACTIVE');
    const { process: child } = running;
    const complained = new Promise<void>((resolve) => {
      child.stderr?.on('data', (chunk: Buffer) => {
        if (chunk.includes('error: Plugin')) resolve();
      });
    });
    await edit('service.ts', (text) => `${text}\nbroken(`);
    await complained;
    await edit('service.ts', (text) => text.replace('\nbroken(', ''));
    await edit('plugin.json', (text) => text.replace('"0.2.0"', '"0.3.0"'));
    await running.printed('example.hello 0.3.0 is ACTIVE');
    child.kill('SIGTERM');
    assert.equal((await running.ended).code, 0);
  });

  it('uses a kernel that runs, and leaves it as it was', async () => {
    const kernel = await startTestKernel({ plugins: [] });
    try {
      running = new Lamella(['plugin', 'dev', made.directory, '--home', kernel.home]);
      await running.printed('example.hello 0.1.0 is ACTIVE');
      assert.equal(kernel.describe('example.hello').state, 'ACTIVE');
      running.process.kill('SIGTERM');
      assert.equal((await running.ended).code, 0);
      assert.throws(() => kernel.describe('example.hello'), /No plugin/);
    } finally {
      await kernel.stop();
    }
  });

  it('says what is wrong with a folder that holds no plugin', async () => {
    const { code, err } = await new Lamella(['plugin', 'dev', path.dirname(made.directory)]).ended;
    assert.equal(code, 1);
    // The line breaks fall where the path leaves room.
    assert.match(err.replaceAll(/\s+/g, ' '), /there is no such file; name the folder of a plugin/);
  });
});
