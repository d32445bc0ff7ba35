import type { Dirent } from 'node:fs';
import { lstat, readdir, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import type { Manifest } from '../../proto/gen/lamella/kernel/v1/manifest_pb.ts';
import { readManifest } from '../registry/manifest.ts';
import {
  digestOf,
  type Digests,
  DIGESTS_FILE,
  type FileDigest,
  hashFile,
  parseDigests,
  printable,
} from './digests.ts';
import { pathProblem, PathSet } from './entry-path.ts';
import { PackageInvalid } from './errors.ts';
import { PACKAGE_LIMITS } from './limits.ts';
import { type KeyName, SIGNATURE_FILE, verifySignature } from './signature.ts';

/** A package whose files are all as its digests say. */
export interface SoundPackage {
  readonly manifest: Manifest;
  /** SHA-256 of `digests.json`, and so of everything. */
  readonly digest: string;
  /** Key of a valid signature; nothing is said of whether it is trusted. */
  readonly signer: KeyName | undefined;
  readonly files: number;
  readonly sizeBytes: number;
}

/** Tells whether a folder claims to be a package, sound or not. */
export async function isPackage(directory: string): Promise<boolean> {
  const [digests, signature] = await Promise.allSettled([
    lstat(path.join(directory, DIGESTS_FILE)),
    lstat(path.join(directory, SIGNATURE_FILE)),
  ]);
  return digests.status === 'fulfilled' || signature.status === 'fulfilled';
}

/**
 * Checks an unpacked package: every file is listed, every listed file is there, unchanged, and the signature fits.
 *
 * @param where - Name of the package in error messages.
 * @throws PACKAGE_INVALID, MANIFEST_INVALID
 */
export async function readPackage(directory: string, where: string = directory): Promise<SoundPackage> {
  try {
    const text = await readSmall(path.join(directory, DIGESTS_FILE), PACKAGE_LIMITS.digestsBytes);
    if (text === undefined) throw new Error(`it has no ${DIGESTS_FILE}; 'lamella plugin pack' makes one`);
    const digests = parseDigests(text.toString('utf8'));
    const signature = await readSmall(path.join(directory, SIGNATURE_FILE), PACKAGE_LIMITS.signatureBytes);
    const signer = signature === undefined ? undefined : verifySignature(text, signature.toString('utf8'));
    const sizeBytes = await checkFiles(directory, digests);
    const manifest = await readManifest(directory);
    if (manifest.id !== digests.id || manifest.version !== digests.version) {
      throw new Error(
        `its plugin.json is ${manifest.id} ${manifest.version}, its ${DIGESTS_FILE} ${printable(digests.id)} ${printable(digests.version)}`,
      );
    }
    return { manifest, digest: digestOf(text), signer, files: digests.files.size, sizeBytes };
  } catch (error) {
    if (error instanceof Error && 'reason' in error) throw error;
    throw new PackageInvalid({ package: where, problem: (error as Error).message }, { cause: error });
  }
}

/**
 * Lists the files of a folder but those of the package itself, with sizes and digests.
 *
 * @throws Error with a phrase when there is anything but files and folders.
 */
export async function digestFolder(directory: string): Promise<Map<string, FileDigest>> {
  const files = new Map<string, FileDigest>();
  const paths = new PathSet();
  for await (const name of filesOf(directory)) {
    const problem = pathProblem(name) ?? paths.add(name);
    if (problem !== undefined) throw new Error(`the path '${printable(name)}' is refused: ${problem}`);
    const file = path.join(directory, name);
    const { size, mode } = await stat(file);
    files.set(name, { sha256: await hashFile(file), size, executable: (mode & 0o100) !== 0 });
  }
  return files;
}

/** Compares what is there with what should be. @returns the size of all files, in bytes. */
async function checkFiles(directory: string, { files }: Digests): Promise<number> {
  const missing = new Set(files.keys());
  let sizeBytes = 0;
  for await (const name of filesOf(directory)) {
    const expected = files.get(name);
    if (expected === undefined) throw new Error(`the file '${printable(name)}' is not listed`);
    missing.delete(name);
    sizeBytes += expected.size;
    await checkFile(path.join(directory, name), name, expected);
  }
  const [first] = missing;
  if (first !== undefined) throw new Error(`the file '${first}' is missing`);
  return sizeBytes;
}

async function checkFile(file: string, name: string, expected: FileDigest): Promise<void> {
  const { size, mode } = await stat(file);
  if (size !== expected.size || (await hashFile(file)) !== expected.sha256) {
    throw new Error(`the file '${name}' was changed`);
  }
  // Windows has no such bit.
  if (process.platform === 'win32') return;
  if (((mode & 0o100) !== 0) !== expected.executable) {
    throw new Error(`the file '${name}' ${expected.executable ? 'is no longer' : 'was made'} executable`);
  }
}

/**
 * Paths of all files in a folder but those of the package itself, with `/`, in no order.
 *
 * @param skip - Names of files and folders that are passed over.
 * @throws Error with a phrase for links, devices and too many files.
 */
export async function* filesOf(
  directory: string,
  skip: (name: string) => boolean = () => false,
): AsyncGenerator<string> {
  let count = 0;
  const open: string[] = [''];
  for (let folder = open.pop(); folder !== undefined; folder = open.pop()) {
    const entries = await readdir(path.join(directory, folder), { withFileTypes: true });
    count += entries.length;
    if (count > 2 * PACKAGE_LIMITS.files) throw new Error(`it has more than ${PACKAGE_LIMITS.files} files`);
    for (const entry of entries) {
      if (skip(entry.name)) continue;
      const name = path.posix.join(folder, entry.name);
      if (entry.isDirectory()) open.push(name);
      else if (isContent(name, entry)) yield name;
    }
  }
}

function isContent(name: string, entry: Dirent): boolean {
  if (name === DIGESTS_FILE || name === SIGNATURE_FILE) return false;
  if (!entry.isFile()) throw new Error(`'${printable(name)}' is ${kindOf(entry)}, not a plain file`);
  return true;
}

function kindOf(entry: Dirent): string {
  if (entry.isSymbolicLink()) return 'a symbolic link';
  return entry.isFIFO() || entry.isSocket() ? 'a pipe or socket' : 'a device';
}

/** Content of a small plain file; `undefined` if there is none. */
async function readSmall(file: string, limitBytes: number): Promise<Buffer | undefined> {
  const name = path.basename(file);
  const stats = await lstat(file).catch(() => undefined);
  if (stats === undefined) return undefined;
  if (!stats.isFile()) throw new Error(`its ${name} is not a plain file`);
  if (stats.size > limitBytes) throw new Error(`its ${name} is larger than ${limitBytes} bytes`);
  return readFile(file);
}
