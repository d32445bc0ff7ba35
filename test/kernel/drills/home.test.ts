import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { readConfig } from '../../../kernel/config.ts';
import { DataMalformed, jsonObjects } from '../../../kernel/cli/call/json-values.ts';
import { ROOT } from '../../support/echo-plugin.ts';

const run = promisify(execFile);

/** Takes a home, says how that went, and keeps it until all have tried. */
const TAKE = `
const { HomeLock } = await import(process.argv[1]);
const outcome = await HomeLock.take(process.argv[2]).then(() => 'taken', (error) => error.message);
process.stdout.write(outcome);
await new Promise((resolve) => setTimeout(resolve, 1500));
`;

describe('drill: a home folder', function () {
  this.timeout(30_000);
  let home: string;

  beforeEach(async () => {
    home = await mkdtemp(path.join(tmpdir(), 'lamella-home-'));
  });

  afterEach(() => rm(home, { recursive: true, force: true }));

  it('with the lock of a dead kernel is taken by one of those that try at once; the others name it', async () => {
    await writeFile(path.join(home, 'kernel.lock'), '4194305 1\n');
    const module = path.join(ROOT, 'dist/kernel/home-lock.js');
    const attempts = Array.from({ length: 4 }, () =>
      run(process.execPath, ['--input-type=module', '-e', TAKE, module, home]),
    );
    const outcomes = (await Promise.all(attempts)).map(({ stdout }) => stdout);
    assert.equal(outcomes.filter((outcome) => outcome === 'taken').length, 1, outcomes.join('\n'));
    for (const outcome of outcomes.filter((text) => text !== 'taken')) {
      assert.match(outcome, /is in use by process \d+; stop it, or start with another --home/);
    }
    assert.deepEqual(await readdir(home), ['kernel.lock']);
  });

  it('with a misspelt option says which and what was meant', async () => {
    await writeFile(
      path.join(home, 'config.json'),
      '\uFEFF{"drainMS":1,"plugins":{"a.b":{"isolatoin":"INLINE"}}}',
    );
    await assert.rejects(readConfig(home), (error: Error) => {
      assert.match(error.message, /'drainMS' is not an option; did you mean 'drainMs'\?/);
      assert.match(
        error.message,
        /'isolatoin' in 'plugins\.a\.b' is not an option; did you mean 'isolation'\?/,
      );
      return true;
    });
  });

  it('whose configuration is a named pipe is refused and not waited for', async () => {
    await run('mkfifo', [path.join(home, 'config.json')]);
    await assert.rejects(readConfig(home), /it is not a file/);
  });
});

describe('drill: data of a call that is not UTF-8', () => {
  it('is refused with what to do', async () => {
    const pieces = (async function* () {
      yield Buffer.from([0x7b, 0x22, 0xb0, 0xa1, 0x22, 0x7d]);
    })();
    await assert.rejects(
      async () => {
        for await (const _ of jsonObjects(pieces)) assert.fail('nothing is whole');
      },
      (error) => error instanceof DataMalformed && /not UTF-8; save it as UTF-8/.test(error.message),
    );
  });
});
