import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import vm from 'node:vm';
import type { Manifest } from '../../proto/gen/lamella/kernel/v1/manifest_pb.ts';
import type { Plugin } from '../../sdk/index.ts';
import { PluginStartFailed } from '../errors.ts';
import { loadShared, SHARED } from './shared-modules.ts';

/** A plugin's code as one CommonJS text, and the digest that names this version of it. */
export interface Bundle {
  readonly code: string;
  readonly filename: string;
  /** SHA-256 of the code in hex. */
  readonly digest: string;
}

/** Where the code of a plugin in TypeScript is. */
export function bundleSource(manifest: Manifest, directory: string): BundleSource {
  const { id: pluginId, entry, externals } = manifest;
  return { pluginId, directory, module: entry?.module ?? '', externals };
}

/** What is needed to find and build a plugin's code. */
export interface BundleSource {
  readonly pluginId: string;
  readonly directory: string;
  /** Entry relative to the folder: `.cjs` is taken as it is, anything else is bundled. */
  readonly module: string;
  /** npm packages left out of the bundle, resolved from the plugin's folder when it runs. */
  readonly externals: readonly string[];
}

/**
 * Reads a plugin's code, bundling it from source when it is not built yet.
 *
 * @throws PLUGIN_START_FAILED with the compiler's messages.
 */
export async function readBundle(source: BundleSource): Promise<Bundle> {
  const entry = path.resolve(source.directory, source.module);
  const code = entry.endsWith('.cjs') ? await readFile(entry, 'utf8') : await build(source, entry);
  return bundleOf(code, entry);
}

/** Reads code that was built elsewhere; it still runs as if it lay where its source is. */
export async function takeBundle(source: BundleSource, file: string): Promise<Bundle> {
  return bundleOf(await readFile(file, 'utf8'), path.resolve(source.directory, source.module));
}

function bundleOf(code: string, filename: string): Bundle {
  return { code, filename, digest: createHash('sha256').update(code).digest('hex') };
}

async function build(source: BundleSource, entry: string): Promise<string> {
  // Loaded on first use: a kernel that runs built plugins only never pays for the compiler.
  const esbuild = await import('esbuild');
  try {
    const result = await esbuild.build({
      entryPoints: [entry],
      // Paths in its comments are relative to this: the same source gives the same bundle wherever it lies.
      absWorkingDir: path.resolve(source.directory),
      bundle: true,
      write: false,
      format: 'cjs',
      platform: 'node',
      target: 'node20',
      external: [...SHARED, ...source.externals],
      // A kept `import()` would need a loader callback, and that pins the compiled code for ever.
      supported: { 'dynamic-import': false },
      logLevel: 'silent',
    });
    return result.outputFiles[0]?.text ?? '';
  } catch (error) {
    throw new PluginStartFailed(
      { plugin: source.pluginId, cause: (error as Error).message },
      { cause: error },
    );
  }
}

/**
 * Runs a bundle and takes its plugin.
 *
 * @remarks `vm.compileFunction` instead of `import`: an ES module can never be unloaded, a compiled function is
 * collected with its last reference.
 * @throws PLUGIN_START_FAILED if the code throws or does not export a plugin.
 */
export async function evaluateBundle(bundle: Bundle, pluginId: string): Promise<Plugin> {
  const shared = await loadShared(bundle.code);
  let localRequire: NodeJS.Require | undefined;
  const require = (id: string): unknown =>
    shared.get(id) ?? (localRequire ??= createRequire(bundle.filename))(id);
  const module: { exports: { default?: unknown } } = { exports: {} };
  try {
    const run = vm.compileFunction(bundle.code, ['exports', 'require', 'module', '__filename', '__dirname'], {
      filename: bundle.filename,
    });
    run(module.exports, require, module, bundle.filename, path.dirname(bundle.filename));
  } catch (error) {
    throw new PluginStartFailed({ plugin: pluginId, cause: String(error) }, { cause: error });
  }
  const plugin = module.exports.default;
  if (!isPlugin(plugin)) {
    throw new PluginStartFailed({
      plugin: pluginId,
      cause: `${bundle.filename} does not export a plugin as its default; write 'export default definePlugin({ … })'.`,
    });
  }
  return plugin;
}

function isPlugin(value: unknown): value is Plugin {
  return typeof value === 'object' && value !== null && 'kind' in value && value.kind === 'lamella.plugin';
}
