import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { ROOT, runCommand } from './run-command.ts';
import { filesBelow } from './source-files.ts';

/** Generates the code and the API image of `proto/` once more and compares both with what is committed. */
async function checkGenerated(): Promise<string[]> {
  const folder = await mkdtemp(path.join(tmpdir(), 'lamella-generated-'));
  try {
    const image = path.join(folder, 'api.txtpb');
    const runs = await Promise.all([
      runCommand('buf', 'generate', '--output', folder),
      runCommand('buf', 'build', '-o', image, '--exclude-source-info'),
    ]);
    const failed = runs.find((run) => run.status !== 0);
    if (failed !== undefined) return [failed.output];
    const generated = path.join(folder, 'proto', 'gen');
    const relative = path.relative(ROOT, generated);
    const fresh = (await filesBelow(relative, '.ts')).map((file) =>
      path.relative(generated, path.join(ROOT, file)),
    );
    const committed = (await filesBelow('proto/gen', '.ts')).map((file) => path.relative('proto/gen', file));
    const pairs = [...new Set([...fresh, ...committed])].sort().map((file) => ({
      name: `proto/gen/${file}`,
      first: path.join(generated, file),
      second: path.join(ROOT, 'proto', 'gen', file),
    }));
    pairs.push({ name: 'proto/api.txtpb', first: image, second: path.join(ROOT, 'proto', 'api.txtpb') });
    const differences = await Promise.all(
      pairs.map(async ({ name, first, second }) =>
        (await read(first)) === (await read(second)) ? '' : name,
      ),
    );
    return differences.filter((name) => name !== '').map((name) => `${name} is not what proto/ generates`);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function read(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

for (const problem of await checkGenerated()) {
  console.error(problem);
  process.exitCode = 1;
}
