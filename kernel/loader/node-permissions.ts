import path from 'node:path';
import type { Manifest } from '../../proto/gen/lamella/kernel/v1/manifest_pb.ts';
import { PACKAGE_DIRECTORY } from '../../sdk/package-directory.ts';
import { isOwnPlugin, realPath } from '../packaging/own-plugins.ts';

/** What Node is told of a plugin that it shall hold to its rights. */
export interface PermittedPlugin {
  /** With the rights that were granted. */
  readonly manifest: Manifest;
  readonly directory: string;
  /** Folders that only this plugin has: its storage and the folder of its socket. */
  readonly own: readonly string[];
}

/** Node 20 has the permission model under another name. */
const SWITCH = has('--permission') ? '--permission' : '--experimental-permission';

/** Granted without asking: native packages (lmdb for the plugin's storage), threads, and the plugin's socket. */
const ALWAYS: readonly string[] = ['--allow-addons', '--allow-worker', '--allow-net'].filter(has);

/** That the model is new, and that native packages are allowed, is no news to who reads a plugin's log. */
const QUIET: readonly string[] = [
  '--disable-warning=ExperimentalWarning',
  '--disable-warning=SecurityWarning',
];

function has(flag: string): boolean {
  return process.allowedNodeEnvironmentFlags.has(flag);
}

/**
 * Flags by which Node refuses a plugin process the files, and the programs, that it was not granted.
 *
 * @remarks Plugins that come with Lamella get none: they are part of it. The flags hold JavaScript. Native code that a plugin brings and programs that it may start are not held by them.
 */
export function permissionFlags({ manifest, directory, own }: PermittedPlugin): string[] {
  if (isOwnPlugin(directory)) return [];
  const { files = [], processes = false } = manifest.capabilities ?? {};
  const writable = [...own, ...files.filter(({ write }) => write).map((file) => file.path)];
  const readable = [
    ...writable,
    ...files.map((file) => file.path),
    directory,
    ...packageFolders(directory),
    ...['package.json', 'dist'].map((name) => path.join(PACKAGE_DIRECTORY, name)),
    ...packageFolders(PACKAGE_DIRECTORY),
  ];
  return [
    SWITCH,
    ...ALWAYS,
    ...(processes ? ['--allow-child-process'] : []),
    ...QUIET,
    ...placesOf(readable).map((place) => `--allow-fs-read=${place}`),
    ...placesOf(writable).map((place) => `--allow-fs-write=${place}`),
  ];
}

/** Where Node looks for packages, seen from a folder. */
function packageFolders(directory: string): string[] {
  const folders: string[] = [];
  for (let at = path.resolve(directory); ; at = path.dirname(at)) {
    folders.push(path.join(at, 'node_modules'));
    if (path.dirname(at) === at) return folders;
  }
}

/** Each path as it was given and as it really is: Node compares the text of paths. */
function placesOf(paths: readonly string[]): string[] {
  return [...new Set(paths.flatMap((place) => [path.resolve(place), realPath(place)]))];
}
