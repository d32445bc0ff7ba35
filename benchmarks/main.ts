import { execFileSync } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { cpus, loadavg } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

const BENCHMARKS: Readonly<Record<string, () => Promise<object>>> = {
  rpc: async () => (await import('./rpc.bench.ts')).rpcBenchmark(),
  kernel: async () => (await import('./kernel.bench.ts')).kernelBenchmark(),
  serving: async () => (await import('./serving.bench.ts')).servingBenchmark(),
  infer: async () => (await import('./infer.bench.ts')).inferBenchmark(),
  delay: async () => (await import('./delay.bench.ts')).delayBenchmark(),
  train: async () => (await import('./train.bench.ts')).trainBenchmark(),
};

/** Runs the benchmarks whose names match the pattern given, prints their figures, and keeps them in results/. */
async function main(pattern: string): Promise<void> {
  const names = Object.keys(BENCHMARKS).filter((name) => new RegExp(pattern).test(name));
  if (names.length === 0) {
    console.error(`No benchmark matches '${pattern}'; there is: ${Object.keys(BENCHMARKS).join(', ')}.`);
    process.exitCode = 2;
  }
  for (const name of names) {
    const result = { name, ...circumstances(name), ...(await BENCHMARKS[name]?.()) };
    const text = `${JSON.stringify(result, undefined, 2)}\n`;
    const file = path.join(ROOT, 'benchmarks/results', `${name}.json`);
    await mkdir(path.dirname(file), { recursive: true });
    await writeFile(file, text);
    process.stdout.write(text);
  }
}

/** A figure without these says nothing. */
function circumstances(name: string): object {
  return {
    command: `npm run bench -- ${name}`,
    date: new Date().toISOString().slice(0, 10),
    commit: execFileSync('git', ['rev-parse', '--short', 'HEAD'], { cwd: ROOT, encoding: 'utf8' }).trim(),
    cores: cpus().length,
    loadBefore: Number(loadavg()[0]?.toFixed(1)),
  };
}

await main(process.argv[2] ?? '.');
