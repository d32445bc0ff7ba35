import { spawn } from 'node:child_process';
import path from 'node:path';
import { ROOT } from './run-command.ts';
import { filesBelow } from './source-files.ts';

/** Runs the benchmarks whose names match the pattern, one after another: two at once would measure each other. */
async function bench(pattern: string): Promise<number> {
  const files = await filesBelow('dist/benchmarks', '.bench.js');
  const chosen = files.filter((file) => new RegExp(pattern).test(path.basename(file, '.bench.js')));
  if (chosen.length === 0) {
    const names = files.map((file) => path.basename(file, '.bench.js')).join(', ');
    console.error(`No benchmark matches '${pattern}'; there is: ${names}.`);
    return 2;
  }
  let failed = 0;
  for (const file of chosen) {
    console.log(`\n${path.basename(file, '.bench.js')}`);
    if ((await runFile(path.join(ROOT, file))) !== 0) failed += 1;
  }
  return failed === 0 ? 0 : 1;
}

async function runFile(file: string): Promise<number> {
  const child = spawn(process.execPath, [file], { cwd: ROOT, stdio: 'inherit' });
  return new Promise((resolve) => {
    child.once('close', (code) => {
      resolve(code ?? 1);
    });
  });
}

process.exitCode = await bench(process.argv[2] ?? '');
