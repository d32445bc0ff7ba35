import { lstat, readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import type { Manifest } from '../../proto/gen/lamella/kernel/v1/manifest_pb.ts';
import { readBundle } from '../loader/bundle.ts';
import { filesOf } from './package-folder.ts';

/** One file of a package to be: copied from a place, or with content made for it. */
export type PackageFile = { readonly from: string } | { readonly content: string };

/** Never taken by itself: other people's code, caches, packages, secrets. Name it under `files` to take it. */
const SKIPPED = /^(?:\..*|node_modules|__pycache__|venv|.*\.pyc|.*\.key|.*\.pem|.*\.lamella-plugin\.tgz)$/;

/** Taken along from every folder: what people and npm look for. */
const DOCUMENTS = /^(?:readme|license|licence|notice|changelog)(?:\.\w+)?$|^package\.json$/i;

/** Name of the one file that a TypeScript plugin becomes. */
const BUNDLE = 'plugin.cjs';

/**
 * Chooses what goes into a package, by path. A TypeScript plugin is bundled: nothing is compiled where it is installed.
 *
 * @throws Error with a phrase, PLUGIN_START_FAILED with the compiler's messages.
 */
export async function packageFiles(
  directory: string,
  manifest: Manifest,
): Promise<ReadonlyMap<string, PackageFile>> {
  const chosen = new Map<string, PackageFile>();
  for (const name of await sourceFiles(directory, manifest)) {
    chosen.set(name, { from: path.join(directory, name) });
  }
  const module = manifest.entry?.module ?? '';
  if (module !== '' && !module.endsWith('.cjs')) {
    const { id: pluginId, externals } = manifest;
    const { code } = await readBundle({ pluginId, directory, module, externals });
    chosen.set(BUNDLE, { content: code });
    chosen.set('plugin.json', { content: await manifestWithBundle(directory) });
  }
  return chosen;
}

/** Files that are taken as they are. */
async function sourceFiles(directory: string, { entry, files, protos }: Manifest): Promise<string[]> {
  const { command = [], module = '' } = entry ?? {};
  const top = await readdir(directory);
  const names = ['plugin.json', ...top.filter((name) => DOCUMENTS.test(name))];
  if (files.length === 0 && command.length > 0) {
    for await (const name of filesOf(directory, (part) => SKIPPED.test(part))) names.push(name);
  }
  const listed = files.length === 0 && module !== '' ? top.filter((name) => name === 'public') : files;
  const programs = [...command.slice(0, 1), module].filter(
    (name) => name.startsWith('./') || name.endsWith('.cjs'),
  );
  for (const name of [...listed, ...protos, ...programs]) {
    names.push(...(await filesBelow(directory, path.posix.normalize(name).replace(/\/$/, ''))));
  }
  return names;
}

/** A listed file, or all files below a listed folder. */
async function filesBelow(directory: string, name: string): Promise<string[]> {
  let stats = await lstat(directory);
  const parts = name.split('/');
  for (let count = 1; count <= parts.length; count += 1) {
    const part = parts.slice(0, count).join('/');
    stats = await lstat(path.join(directory, part)).catch((cause: unknown) => {
      throw new Error(`'${name}' is listed in plugin.json and not there`, { cause });
    });
    if (stats.isSymbolicLink()) throw new Error(`'${part}' is a symbolic link, not a plain file`);
  }
  if (stats.isFile()) return [name];
  const below: string[] = [];
  const skip = (part: string): boolean => part === '__pycache__' || part === 'node_modules';
  for await (const file of filesOf(path.join(directory, name), skip)) below.push(`${name}/${file}`);
  return below;
}

async function manifestWithBundle(directory: string): Promise<string> {
  const text = await readFile(path.join(directory, 'plugin.json'), 'utf8');
  const json = JSON.parse(text.replace(/^\uFEFF/, '')) as { readonly entry: object };
  return `${JSON.stringify({ ...json, entry: { ...json.entry, module: BUNDLE } }, undefined, 2)}\n`;
}
