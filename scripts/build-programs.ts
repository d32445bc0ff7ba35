import { rm } from 'node:fs/promises';
import path from 'node:path';
import { Ajv } from 'ajv';
import standalone from 'ajv/dist/standalone/index.js';
import { build, type BuildOptions, type Plugin } from 'esbuild';
import { COMPILER } from '../kernel/config-check.ts';
import { KernelConfigSchema } from '../kernel/config-schema.ts';
import { ROOT } from './run-command.ts';

/** Programs by the file they start in, without `.ts`. */
const PROGRAMS = {
  lamella: 'kernel/cli/main',
  watcher: 'kernel/runner/watcher',
  'ort-child': 'sdk/ort/child',
};

/**
 * What runs a plugin: one file each, in CommonJS, since every swap starts one while callers wait for the processor. Node
 * looks for, reads and links dozens of files otherwise, which takes an eighth of the start.
 */
const RUNNERS = {
  runner: 'kernel/runner/main',
  worker: 'kernel/runner/worker',
};

/** Native, or so large that only those who use it shall load it. */
const EXTERNALS = [
  '@duckdb/node-api',
  '@grpc/proto-loader',
  'apache-arrow',
  'esbuild',
  'lmdb',
  'onnxruntime-node',
  'protobufjs',
  'protobufjs/*',
  'tar',
  'undici',
];

/** A module knows where it lies; CommonJS has another name for that. */
const HERE = "const importMetaUrl = require('node:url').pathToFileURL(__filename).href;";

/** CommonJS packages call `require`, which a module does not have. */
const REQUIRE =
  "import { createRequire as requireFrom } from 'node:module'; const require = requireFrom(import.meta.url);";

/** Compiles the schema of `config.json` now instead of at each start. */
const CONFIG_CHECK: Plugin = {
  name: 'config-check',
  setup: (bundle) => {
    bundle.onLoad({ filter: /kernel\/config-check\.ts$/ }, () => {
      const ajv = new Ajv({ ...COMPILER, code: { source: true, esm: true } });
      const code = standalone.default(ajv, ajv.compile(KernelConfigSchema));
      return {
        contents: `${code}\nexport { validate as checkKernelConfig };`,
        loader: 'js',
        resolveDir: ROOT,
      };
    });
  },
};

/**
 * Bundles each program with the packages it uses to `dist/bin/`.
 *
 * @remarks Finding and opening hundreds of small files takes most of the time in which a process of ours starts: a kernel
 * needs 0.16 s of processor time instead of 0.40 s, and so does every plugin process. Parts that are loaded on use stay
 * files of their own.
 */
async function buildPrograms(): Promise<void> {
  const outdir = path.join(ROOT, 'dist', 'bin');
  await rm(outdir, { recursive: true, force: true });
  const common: BuildOptions = {
    outdir,
    bundle: true,
    platform: 'node',
    target: 'node20',
    sourcemap: 'linked',
    external: EXTERNALS,
    plugins: [CONFIG_CHECK],
    logLevel: 'warning',
  };
  await build({
    ...common,
    entryPoints: entryPoints(PROGRAMS),
    splitting: true,
    format: 'esm',
    banner: { js: REQUIRE },
  });
  await build({
    ...common,
    entryPoints: entryPoints(RUNNERS),
    format: 'cjs',
    outExtension: { '.js': '.cjs' },
    define: { 'import.meta.url': 'importMetaUrl' },
    banner: { js: HERE },
  });
}

function entryPoints(programs: Readonly<Record<string, string>>): { in: string; out: string }[] {
  return Object.entries(programs).map(([out, file]) => ({ in: path.join(ROOT, `${file}.ts`), out }));
}

await buildPrograms();
