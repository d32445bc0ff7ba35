import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { ROOT } from './run-command.ts';
import { SOURCE_FOLDERS, filesBelow } from './source-files.ts';

/** Removes compiled files whose source is gone: the compiler leaves them, and the test runner would still run them. */
async function pruneOutput(): Promise<void> {
  const outputs = (
    await Promise.all(SOURCE_FOLDERS.map((folder) => filesBelow(`dist/${folder}`, '.js')))
  ).flat();
  for (const output of outputs) {
    const stem = output.slice('dist/'.length, -'.js'.length);
    if (existsSync(path.join(ROOT, `${stem}.ts`)) || output.includes('/public/')) continue;
    for (const suffix of ['.js', '.js.map', '.d.ts']) {
      await rm(path.join(ROOT, 'dist', `${stem}${suffix}`), { force: true });
    }
  }
}

await pruneOutput();
