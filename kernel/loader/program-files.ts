import { execFile } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Manifest } from '../../proto/gen/lamella/kernel/v1/manifest_pb.ts';
import type { Logger } from '../../sdk/index.ts';
import type { CapabilitySettings } from '../capabilities/capability.ts';
import { isOwnPlugin } from '../packaging/own-plugins.ts';
import type { TrustMode } from '../packaging/trust.ts';

/** What a program needs to run at all: its libraries, names of hosts, certificates, the time, and what the system says of processes. */
const SYSTEM: readonly string[] = [
  '/usr',
  '/bin',
  '/sbin',
  '/lib',
  '/lib32',
  '/lib64',
  ...['alternatives', 'ca-certificates', 'crypto-policies', 'gai.conf', 'host.conf', 'hosts'].map(inEtc),
  ...['ld.so.cache', 'ld.so.conf', 'ld.so.conf.d', 'localtime', 'mime.types', 'nsswitch.conf'].map(inEtc),
  ...['passwd', 'group', 'pki', 'protocols', 'resolv.conf', 'services', 'ssl'].map(inEtc),
];

const DEVICES: readonly string[] = ['full', 'null', 'random', 'urandom', 'zero'].map(
  (name) => `/dev/${name}`,
);

function inEtc(name: string): string {
  return `/etc/${name}`;
}

/**
 * Makes a root folder that holds the places given and nothing else, moves into it, and becomes the program, without the
 * rights that all this took. A place that is not there is left out; what is mounted below a place that may only be read
 * may only be read too. Folders come before what is in them, which may have more rights. The process stays the same one.
 */
const SCRIPT = `set -e
root=$1 user=$2 group=$3; shift 3
mkdir -p "$root"
mount -t tmpfs -o mode=0755,size=64m,nosuid,nodev lamella "$root"
mount --make-unbindable "$root"
mkdir -m 1777 "$root/tmp"
while [[ $1 != -- ]]; do
  how=\${1%%:*} place=\${1#*:}; shift
  [[ -e $place ]] || continue
  if [[ -d $place ]]; then mkdir -p "$root$place"
  elif [[ ! -e $root$place ]]; then mkdir -p "$root\${place%/*}"; : > "$root$place"; fi
  mount --rbind "$place" "$root$place"
  [[ $how == write ]] && continue
  while read -r _ _ _ _ at _; do
    printf -v at %b "$at"
    [[ $at/ == "$root$place"/* ]] && mount -o remount,bind,ro "$at"
  done < <(tac /proc/self/mountinfo)
done
shift
mkdir "$root/.outside"
here=$PWD
cd "$root"
pivot_root . .outside
umount -l /.outside
rmdir /.outside
cd "$here"
(( user )) && exec unshare --user --map-user="$user" --map-group="$group" "$@"
exec setpriv --bounding-set=-all --inh-caps=-all --ambient-caps=-all "$@"`;

/** Longest time to find out whether the machine offers this, in milliseconds. */
const PROBE_MS = 5_000;

/** A program that shall see files. */
export interface SeeingProgram {
  /** With the rights that were granted, by absolute paths. */
  readonly manifest: Manifest;
  readonly directory: string;
  /** Folders that only this plugin has; the last one is that of its socket. */
  readonly storageDirectory: string;
  readonly socketDirectory: string;
  readonly kernelSocket: string;
}

/** What decides whether a program is held to its files. */
export interface HoldingParts {
  readonly mode: TrustMode;
  /** What the operator grants instead of what the manifest asks for. */
  readonly settings: CapabilitySettings | undefined;
  readonly log: Logger;
}

/**
 * Whether a program is held to its files: when the operator has named them, or trusts nobody unseen. Any other keeps
 * what the system allows, for what an interpreter outside of /usr needs is known to nobody but the operator.
 */
export function isHeldToFiles(
  { manifest, directory }: Pick<SeeingProgram, 'manifest' | 'directory'>,
  { mode, settings, log }: HoldingParts,
): boolean {
  const isProgram = (manifest.entry?.command.length ?? 0) > 0;
  if (!isProgram || isOwnPlugin(directory) || maySeeAll(manifest)) return false;
  const isHeld = mode === 'strict' || settings?.files !== undefined;
  if (!isHeld)
    log.warn('the program is not held to its files; to hold it, name them under capabilities.files', {
      plugin: manifest.id,
    });
  return isHeld;
}

function maySeeAll({ capabilities }: Manifest): boolean {
  return capabilities?.files.some(({ path: place, write }) => write && place === '/') ?? false;
}

/** The command that runs another one where it sees its files only. */
export function withItsFiles(command: readonly string[], program: SeeingProgram): string[] {
  const { manifest, directory, storageDirectory, socketDirectory, kernelSocket } = program;
  const { files = [], gpu = false } = manifest.capabilities ?? {};
  const places = [
    ...(gpu ? ['write:/dev', 'read:/sys'] : DEVICES.map((place) => `write:${place}`)),
    ...files.flatMap(({ path: place, write }) =>
      // The root itself is the view's own.
      (place === '/' ? namesOfRoot() : [place]).map((each) => `${write ? 'write' : 'read'}:${each}`),
    ),
    `read:${directory}`,
    ...[storageDirectory, socketDirectory, kernelSocket].map((place) => `write:${place}`),
  ];
  return [...viewOf(path.join(socketDirectory, 'root'), places), ...command];
}

function byPath(a: string, b: string): number {
  const [first, second] = [a, b].map((place) => place.slice(place.indexOf(':')));
  return (first ?? '') < (second ?? '') ? -1 : Number(first !== second);
}

/** All but what the view has of its own. */
function namesOfRoot(): string[] {
  return readdirSync('/', { withFileTypes: true })
    .filter((entry) => !entry.isSymbolicLink() && entry.name !== 'proc' && entry.name !== 'dev')
    .map(({ name }) => `/${name}`);
}

function viewOf(root: string, places: readonly string[]): string[] {
  const [user, group] = [process.getuid?.() ?? 0, process.getgid?.() ?? 0];
  // Root makes the namespace itself; others are root in one of users first, which some machines forbid.
  const namespaces = user === 0 ? ['--mount'] : ['--user', '--map-root-user', '--mount'];
  const shell = ['bash', '--norc', '--noprofile', '-c', SCRIPT, 'lamella'];
  // Root could change settings of the system there; others become themselves again by writing to it.
  const processes = user === 0 ? 'read:/proc' : 'write:/proc';
  const all = [...SYSTEM.map((place) => `read:${place}`), processes, ...places];
  return [
    'unshare',
    ...namespaces,
    ...shell,
    root,
    String(user),
    String(group),
    ...all.toSorted(byPath),
    '--',
  ];
}

/** What keeps this machine from holding programs to their files; empty when nothing does. */
export async function filesProblem(): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'lamella-'));
  const words = [...viewOf(path.join(folder, 'root'), []), 'true'];
  try {
    return await new Promise<string>((resolve) => {
      execFile('env', words, { timeout: PROBE_MS, cwd: '/usr' }, (error, _out, err) =>
        resolve(error === null ? '' : firstLine(err) || firstLine(error.message)),
      );
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function firstLine(text: string): string {
  return text.trim().split('\n', 1)[0] ?? '';
}
