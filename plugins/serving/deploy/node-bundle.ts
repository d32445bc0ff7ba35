import { createReadStream } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { PackageMissing, PluginsMissing } from './errors.ts';
import { packageClosure } from './package-closure.ts';
import type { FileSource, TargetFile } from './target.ts';

/** Processors that bundles are made for, as Node names them. */
export type Architecture = 'x64' | 'arm64';

/** What a bundle is made from. */
export interface BundleParts {
  /** Root of the installed package. */
  readonly packageDirectory: string;
  /** Folder whose `node_modules` has packages for other processors; empty for none. */
  readonly extraPackages: string;
}

/** Packages that the program of a node needs beside itself. */
const PACKAGES: readonly string[] = ['@bufbuild/protobuf', 'lmdb', 'onnxruntime-node', 'undici'];
const SERVED = 'inference.GRPCInferenceService';

interface PluginManifest {
  readonly provides?: readonly { readonly service: string }[];
  readonly requires?: readonly { readonly service?: string; readonly optional?: boolean }[];
}

/**
 * The files of a node that serves inference: the program, the plugins it needs and their packages, for Linux.
 *
 * @throws PLUGINS_MISSING, PACKAGE_MISSING
 */
export async function* nodeBundle(
  { packageDirectory, extraPackages }: BundleParts,
  architecture: Architecture,
  folder: string,
): AsyncGenerator<TargetFile> {
  const own = JSON.parse(await readFile(path.join(packageDirectory, 'package.json'), 'utf8')) as {
    readonly [field: string]: unknown;
  };
  const { name, version, license, type, exports } = own;
  const text = JSON.stringify({ name, version, license, type, exports }, undefined, 2);
  yield { path: `${folder}/package.json`, content: `${text}\n` };
  yield* filesOf(path.join(packageDirectory, 'dist/bin'), `${folder}/dist/bin`, isProgram);
  for (const plugin of await neededPlugins(packageDirectory)) {
    yield* filesOf(path.join(packageDirectory, plugin), `${folder}/${plugin}`, isProgram);
  }
  const roots = [packageDirectory, ...(extraPackages === '' ? [] : [extraPackages])];
  const wanted = [...PACKAGES, `@lmdb/lmdb-linux-${architecture}`];
  for (const { name: found, directory } of await packageClosure(wanted, roots)) {
    const isWanted = (file: string): boolean => isPackageFile(file, architecture);
    yield* filesOf(directory, `${folder}/node_modules/${found}`, isWanted);
  }
}

/** Folders of the plugin that serves inference and of those it requires, sorted. */
async function neededPlugins(packageDirectory: string): Promise<string[]> {
  const manifests = new Map<string, PluginManifest>();
  for await (const { path: file } of filesOf(
    path.join(packageDirectory, 'dist/plugins'),
    'dist/plugins',
    isManifest,
  )) {
    const text = await readFile(path.join(packageDirectory, file), 'utf8');
    manifests.set(path.posix.dirname(file), JSON.parse(text) as PluginManifest);
  }
  const needed = new Set<string>();
  const services = [SERVED];
  for (const service of services) {
    const provider = [...manifests].find(([, { provides = [] }]) =>
      provides.some((provided) => provided.service === service),
    );
    if (provider === undefined) throw new PluginsMissing({ service });
    const [directory, { requires = [] }] = provider;
    if (needed.has(directory)) continue;
    needed.add(directory);
    services.push(
      ...requires.flatMap((required) =>
        required.service === undefined || required.optional === true ? [] : [required.service],
      ),
    );
  }
  return [...needed].toSorted();
}

/** Files below a folder in the order of their names, so that the same installation gives the same bundle. */
async function* filesOf(
  directory: string,
  prefix: string,
  isWanted: (file: string) => boolean,
): AsyncGenerator<TargetFile> {
  for await (const file of namesBelow(directory, '')) {
    if (isWanted(file)) {
      yield { path: `${prefix}/${file}`, content: await fileSource(path.join(directory, file)) };
    }
  }
}

async function* namesBelow(directory: string, inside: string): AsyncGenerator<string> {
  const folder = path.join(directory, inside);
  const entries = await readdir(folder, { withFileTypes: true }).catch((cause: unknown) => {
    throw new PackageMissing({ name: folder, advice: 'install Lamella anew, from its package' }, { cause });
  });
  for (const entry of entries.toSorted((left, right) => (left.name < right.name ? -1 : 1))) {
    const file = path.posix.join(inside, entry.name);
    if (entry.isDirectory()) yield* namesBelow(directory, file);
    else if (entry.isFile()) yield file;
  }
}

/** A file of this machine. */
export async function fileSource(file: string): Promise<FileSource> {
  const { size } = await stat(file);
  return { sizeBytes: size, read: () => createReadStream(file) as AsyncIterable<Buffer> };
}

function isProgram(file: string): boolean {
  return !file.endsWith('.map');
}

function isManifest(file: string): boolean {
  return path.posix.basename(file) === 'plugin.json';
}

/** Not what people read, compilers take, or other processors run. */
function isPackageFile(file: string, architecture: Architecture): boolean {
  if (/^(?:src|dependencies|deps|docs?|tests?|benchmarks?|script|node_modules)\//.test(file)) return false;
  if (file.startsWith('bin/napi-')) return file.includes(`/linux/${architecture}/`);
  return !/\.(?:map|ts|cts|mts|md|gyp|c|cc|cpp|h)$/.test(file);
}
