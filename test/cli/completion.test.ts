import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { startTestKernel } from '../../sdk/testing/index.ts';
import { runLamella } from '../support/run-lamella.ts';
import { ROOT } from './lamella-process.ts';

const run = promisify(execFile);

async function words(...typed: string[]): Promise<string[]> {
  const { code, out } = await runLamella(['completion', 'words', '--', ...typed]);
  assert.equal(code, 0);
  return out.split('\n').map((line) => line.split('\t')[0] ?? '');
}

describe('lamella completion', () => {
  it('offers commands, then their subcommands', async () => {
    const all = await words('');
    for (const name of ['start', 'plugin', 'call', 'config', 'doctor', 'demo', 'completion']) {
      assert.ok(all.includes(name), name);
    }
    assert.deepEqual(await words('pl'), ['plugin']);
    assert.ok((await words('plugin', '')).includes('reload'));
    assert.ok(!(await words('completion', '')).includes('words'));
  });

  it('offers options of the command, and the choices of an option', async () => {
    assert.deepEqual(await words('start', '--ready'), ['--ready-file']);
    assert.deepEqual(await words('start', '--example', ''), ['digits']);
    assert.deepEqual(await words('start', '--log-level', 'w'), ['warn']);
  });

  it('offers nothing where a file or a name is wanted, so that the shell completes files', async () => {
    assert.deepEqual(await words('start', '--home', ''), ['']);
    assert.deepEqual(await words('plugin', 'load', './'), ['']);
  });

  it('offers the plugins that run where one is wanted', async function () {
    this.timeout(30_000);
    const kernel = await startTestKernel({ plugins: [path.join(ROOT, 'examples', 'echo')] });
    try {
      assert.deepEqual(await words('plugin', 'reload', '--home', kernel.home, ''), ['example.echo']);
      assert.deepEqual(await words('plugin', 'logs', '--address', kernel.addresses.grpc, 'ex'), [
        'example.echo',
      ]);
      assert.deepEqual(await words('plugin', 'reload', '--home', kernel.home, 'other'), ['']);
      assert.deepEqual(await words('plugin', 'log-level', '--home', kernel.home, 'example.echo', ''), ['']);
    } finally {
      await kernel.stop();
    }
    assert.deepEqual(await words('plugin', 'reload', '--home', kernel.home, ''), ['']);
  });

  it('works in bash', async function () {
    this.timeout(20_000);
    const folder = await mkdtemp(path.join(tmpdir(), 'lamella-completion-'));
    try {
      const main = path.join(ROOT, 'dist', 'kernel', 'cli', 'main.js');
      await writeFile(path.join(folder, 'lamella'), `#!/bin/sh\nexec '${process.execPath}' '${main}' "$@"\n`);
      await chmod(path.join(folder, 'lamella'), 0o755);
      const script =
        'source <(lamella completion bash); COMP_WORDS=(lamella config pr); COMP_CWORD=2; _lamella; echo "${COMPREPLY[@]}"';
      const env = { ...process.env, PATH: `${folder}:${process.env['PATH'] ?? ''}` };
      const made = await run('bash', ['-c', script], { env }).catch((error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') this.skip();
        throw error;
      });
      assert.equal(made.stdout, 'print\n');
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });

  for (const shell of ['zsh', 'fish'] as const) {
    it(`has a script that ${shell} takes`, async function () {
      const { out } = await runLamella(['completion', shell]);
      assert.match(out, /lamella completion words -- /);
      const found = await run(shell, ['-n', '-c', out]).catch((error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') this.skip();
        throw error;
      });
      assert.equal(found.stderr, '');
    });
  }
});
