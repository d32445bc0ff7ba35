import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { build } from 'esbuild';
import { SHARED } from '../kernel/loader/shared-modules.ts';
import { ROOT } from './run-command.ts';
import { filesBelow } from './source-files.ts';

/** The parts of `plugin.json` that the build reads or changes. */
interface ManifestFile {
  entry?: { module?: string };
  externals?: string[];
}

/**
 * Bundles every plugin to `dist/plugins/<layer>/<box>/plugin.cjs` with its manifest beside it.
 *
 * @remarks The loader runs a bundle with `vm.compileFunction`, hence CommonJS; the options are those of
 * `kernel/loader/bundle.ts`, which builds a plugin from source while it is being written.
 */
async function buildPlugins(): Promise<number> {
  const manifests = (await filesBelow('plugins', 'plugin.json')).filter(isPluginFolder);
  const results = await Promise.allSettled(manifests.map((file) => buildPlugin(path.dirname(file))));
  const failures = results.flatMap((result) => (result.status === 'rejected' ? [String(result.reason)] : []));
  for (const failure of failures) console.error(failure);
  return failures.length;
}

function isPluginFolder(file: string): boolean {
  return file.split('/').length === 4;
}

async function buildPlugin(folder: string): Promise<void> {
  const source = path.join(ROOT, folder);
  const target = path.join(ROOT, 'dist', folder);
  const manifest = JSON.parse(await readFile(path.join(source, 'plugin.json'), 'utf8')) as ManifestFile;
  await mkdir(target, { recursive: true });
  await build({
    entryPoints: [path.join(source, manifest.entry?.module ?? 'plugin.ts')],
    outfile: path.join(target, 'plugin.cjs'),
    bundle: true,
    format: 'cjs',
    platform: 'node',
    target: 'node20',
    sourcemap: 'linked',
    external: [...SHARED, ...(manifest.externals ?? [])],
    supported: { 'dynamic-import': false },
    logLevel: 'silent',
  });
  await copyAssets(source, target);
  const built = { ...manifest, entry: { ...manifest.entry, module: 'plugin.cjs' } };
  await writeFile(path.join(target, 'plugin.json'), `${JSON.stringify(built, undefined, 2)}\n`);
}

async function copyAssets(source: string, target: string): Promise<void> {
  const from = path.join(source, 'public');
  const to = path.join(target, 'public');
  await rm(to, { recursive: true, force: true });
  if (existsSync(from)) await cp(from, to, { recursive: true });
}

if ((await buildPlugins()) > 0) process.exitCode = 1;
