import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join, resolve } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const bin = resolve('node_modules/.bin');

/** Runs buf with the project's own tools in its path. */
async function buf(...args: string[]): Promise<void> {
  const env = { ...process.env, PATH: `${bin}${delimiter}${process.env['PATH'] ?? ''}` };
  await run(join(bin, 'buf'), args, { env });
}

/** Text of every file under a directory, by its path relative to it. */
async function contents(directory: string): Promise<Map<string, string>> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const pairs = files
    .toSorted()
    .map(async (file) => [file.slice(directory.length + 1), await readFile(file, 'utf8')] as const);
  return new Map(await Promise.all(pairs));
}

describe('what is made from the proto files', function () {
  this.timeout(60_000);
  let directory = '';

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'lamella-proto-'));
    await buf('generate', '--output', directory);
    await buf('build', '--exclude-source-info', '--output', join(directory, 'api.txtpb'));
  });

  after(() => rm(directory, { recursive: true, force: true }));

  it('is committed as TypeScript that is up to date: otherwise run "npx buf generate"', async () => {
    const fresh = await contents(join(directory, 'proto/gen'));
    const committed = await contents(resolve('proto/gen'));
    assert.ok(fresh.size > 0);
    assert.deepEqual([...committed.keys()], [...fresh.keys()]);
    const stale = [...fresh].filter(([file, text]) => committed.get(file) !== text).map(([file]) => file);
    assert.deepEqual(stale, []);
  });

  it('is committed as an API image that is up to date: otherwise run "npx buf build" as CONTRIBUTING.md says', async () => {
    const fresh = await readFile(join(directory, 'api.txtpb'), 'utf8');
    assert.equal((await readFile('proto/api.txtpb', 'utf8')) === fresh, true);
  });
});
