import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { RegistryService } from 'lamella/proto/lamella/model/v1/registry_service';
import { startTestKernel } from '../../sdk/testing/index.ts';
import { addModel } from '../plugins/serving/infer-fixture.ts';
import { ROOT } from '../support/echo-plugin.ts';
import { runLamella } from '../support/run-lamella.ts';
import { runTool } from './tool.ts';

/** Makes an archive of a registered model as an operator does. */
async function makeArchive(output: string): Promise<void> {
  const plugins = ['model/registry', 'serving/infer', 'serving/deploy'];
  const kernel = await startTestKernel({
    plugins: plugins.map((plugin) => path.join(ROOT, 'dist', 'plugins', plugin)),
  });
  try {
    async function* parts(): AsyncGenerator<object> {
      yield { part: { case: 'header', value: { model: 'adder' } } };
      yield { part: { case: 'chunk', value: addModel(1) } };
    }
    await kernel.call(RegistryService).createVersion(parts());
    const words = ['deploy', 'adder@1', '--target', 'edge', '--output', output, '--home', kernel.home];
    const { code, err } = await runLamella(words);
    assert.deepEqual([code, err], [0, '']);
  } finally {
    await kernel.stop();
  }
}

describe('the archive of target edge (skipped where it has no Node: outside Linux)', function () {
  this.timeout(180_000);
  let folder: string;
  let node: ChildProcess | undefined;

  before(async function () {
    if (process.platform !== 'linux') return this.skip();
    folder = await mkdtemp(path.join(tmpdir(), 'lamella-edge-'));
    await makeArchive(path.join(folder, 'out'));
    const [archive = ''] = await readdir(path.join(folder, 'out'));
    assert.match(archive, /^adder-1-linux-(?:x64|arm64)\.tar$/);
    await runTool('tar', ['--extract', '--file', path.join(folder, 'out', archive), '--directory', folder]);
  });

  after(async () => {
    if (node?.exitCode === null) node.kill('SIGKILL');
    if (folder !== undefined) await rm(folder, { recursive: true, force: true });
  });

  it('holds only the plugins that inference needs', async () => {
    const plugins = path.join(folder, 'adder', 'app', 'dist', 'plugins');
    assert.deepEqual((await readdir(plugins)).toSorted(), ['model', 'serving']);
    assert.deepEqual(await readdir(path.join(plugins, 'model')), ['registry']);
    assert.deepEqual(await readdir(path.join(plugins, 'serving')), ['infer']);
  });

  it('runs where there is neither Node nor a package, answers, and stops by SIGTERM', async () => {
    const ports = ['--grpc-port', '0', '--http-port', '0', '--metrics-port', '0'];
    const started = spawn(path.join(folder, 'adder', 'run'), ['start', '--json', ...ports], {
      cwd: '/',
      env: { PATH: '/usr/bin:/bin', HOME: folder },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    node = started;
    const errors: string[] = [];
    createInterface({ input: started.stderr }).on('line', (line) => errors.push(line));
    const exited = once(started, 'exit');
    const line = await Promise.race([
      once(createInterface({ input: started.stdout }), 'line').then(([text]) => String(text)),
      exited.then(() => assert.fail(`it ended: ${errors.join('\n')}`)),
    ]);
    const { http } = JSON.parse(line) as { readonly http: string };
    const answer = await fetch(`http://${http}/v2/models/adder/infer`, {
      method: 'POST',
      body: JSON.stringify({ inputs: [{ name: 'x', datatype: 'UINT8', shape: [1, 2], data: [3, 4] }] }),
    });
    const body = await answer.text();
    assert.equal(answer.status, 200, `${body}\n${errors.join('\n')}`);
    const { outputs } = JSON.parse(body) as {
      readonly outputs: readonly { readonly name: string; readonly data: unknown }[];
    };
    assert.deepEqual(outputs.find(({ name }) => name === 'sum')?.data, [4, 5]);
    started.kill('SIGTERM');
    assert.deepEqual(await exited, [0, null]);
  });
});
