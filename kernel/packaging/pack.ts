import { chmod, copyFile, lstat, mkdir, mkdtemp, rename, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { create } from 'tar';
import { readManifest } from '../registry/manifest.ts';
import { ARCHIVE_ROOT, extractArchive } from './archive-reader.ts';
import { DIGESTS_FILE, formatDigests } from './digests.ts';
import { pathProblem, PathSet } from './entry-path.ts';
import { PackFailed } from './errors.ts';
import { digestFolder, readPackage, type SoundPackage } from './package-folder.ts';
import { type PackageFile, packageFiles } from './package-files.ts';
import { SIGNATURE_FILE, signDigests } from './signature.ts';

/** Ending of an archive's name. */
const ENDING = '.lamella-plugin.tgz';

/** Time of every file in an archive, npm's: some tools refuse the epoch itself. */
const FIXED_TIME = new Date('1985-10-26T08:15:00Z');

/** A private key as PEM text, and the file it came from. */
export interface PrivateKey {
  readonly pem: string;
  readonly file: string;
}

/** A package that was written. */
export interface Packed extends SoundPackage {
  readonly file: string;
}

/**
 * Makes an archive of a plugin's folder. The same files give the same archive.
 *
 * @param options - Where to; `<id>-<version>.lamella-plugin.tgz` by default. A key signs it.
 * @throws PACK_FAILED, MANIFEST_INVALID, PLUGIN_START_FAILED with the compiler's messages, KEY_INVALID
 */
export async function pack(
  directory: string,
  options: { readonly file?: string; readonly key?: PrivateKey } = {},
): Promise<Packed> {
  return inScratch(async (stage) => {
    const sound = await stagePlugin(directory, stage, options.key);
    const { id, version } = sound.manifest;
    const file = options.file ?? `${id}-${version}${ENDING}`;
    await writeArchive(stage, file);
    return { ...sound, file };
  });
}

/** Makes the content of a package from a plugin's folder, in an empty one. @throws like {@link pack} */
export async function stagePlugin(directory: string, stage: string, key?: PrivateKey): Promise<SoundPackage> {
  const manifest = await readManifest(directory);
  try {
    const files = await packageFiles(directory, manifest);
    const paths = new PathSet();
    for (const [name, file] of files) await put(stage, { name, file, paths });
    await seal(stage, key);
  } catch (error) {
    if (error instanceof Error && 'reason' in error) throw error;
    throw new PackFailed({ directory, problem: (error as Error).message }, { cause: error });
  }
  return readPackage(stage, directory);
}

/** Signs an archive, or an unpacked folder. @throws PACKAGE_INVALID, PACK_FAILED, KEY_INVALID, MANIFEST_INVALID */
export async function signPackage(target: string, key: PrivateKey): Promise<Packed> {
  if (await isFolder(target)) {
    await seal(target, key).catch((cause: Error) => {
      if ('reason' in cause) throw cause;
      throw new PackFailed({ directory: target, problem: cause.message }, { cause });
    });
    return { ...(await readPackage(target)), file: target };
  }
  return openPackage(target, async (stage) => {
    await seal(stage, key);
    const sound = await readPackage(stage);
    await writeArchive(stage, target);
    return { ...sound, file: target };
  });
}

/**
 * Checks a package. An archive is unpacked into a temporary folder for as long as a function runs.
 *
 * @param target - An archive, or a folder.
 * @throws PACKAGE_INVALID names the target, MANIFEST_INVALID
 */
export async function openPackage<Result>(
  target: string,
  use: (directory: string, sound: SoundPackage) => Promise<Result>,
): Promise<Result> {
  if (await isFolder(target)) return use(target, await readPackage(target));
  return inScratch(async (directory) => {
    await extractArchive(target, directory);
    return use(directory, await readPackage(directory, target));
  });
}

async function isFolder(target: string): Promise<boolean> {
  return stat(target).then(
    (stats) => stats.isDirectory(),
    () => false,
  );
}

async function inScratch<Result>(use: (directory: string) => Promise<Result>): Promise<Result> {
  const directory = await mkdtemp(path.join(tmpdir(), 'lamella-package-'));
  try {
    return await use(directory);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

interface Placement {
  readonly name: string;
  readonly file: PackageFile;
  readonly paths: PathSet;
}

async function put(stage: string, { name, file, paths }: Placement): Promise<void> {
  const problem = pathProblem(name) ?? paths.add(name);
  if (problem !== undefined) throw new Error(`the path '${name}' is refused: ${problem}`);
  const target = path.join(stage, name);
  await mkdir(path.dirname(target), { recursive: true });
  if ('content' in file) {
    await writeFile(target, file.content);
    return;
  }
  await copyFile(file.from, target);
  const { mode } = await lstat(file.from);
  await chmod(target, (mode & 0o111) === 0 ? 0o644 : 0o755);
}

/** Writes the digests of a folder and, with a key, their signature. */
async function seal(directory: string, key: PrivateKey | undefined): Promise<void> {
  const { id, version } = await readManifest(directory);
  const digests = formatDigests({ id, version, files: await digestFolder(directory) });
  await writeFile(path.join(directory, DIGESTS_FILE), digests, { mode: 0o644 });
  const signature = path.join(directory, SIGNATURE_FILE);
  if (key === undefined) await rm(signature, { force: true });
  else await writeFile(signature, signDigests(Buffer.from(digests), key.pem, key.file), { mode: 0o644 });
}

/** Files in a fixed order with fixed times, owners and modes. */
async function writeArchive(stage: string, file: string): Promise<void> {
  const files = await digestFolder(stage);
  const signature = await lstat(path.join(stage, SIGNATURE_FILE)).catch(() => undefined);
  const head = signature === undefined ? [DIGESTS_FILE] : [DIGESTS_FILE, SIGNATURE_FILE];
  const names = [...head, ...[...files.keys()].toSorted()];
  for (const name of names) {
    // The umask of the author's machine may not show in the archive.
    await chmod(path.join(stage, name), files.get(name)?.executable === true ? 0o755 : 0o644);
  }
  const partial = `${file}.${process.pid}.partial`;
  try {
    await create(
      {
        file: partial,
        cwd: stage,
        prefix: ARCHIVE_ROOT,
        portable: true,
        mtime: FIXED_TIME,
        gzip: { level: 9 },
        noDirRecurse: true,
        strict: true,
      },
      // A name that begins with '@' would be read as an archive to copy from.
      names.map((name) => `./${name}`),
    );
    await rename(partial, file);
  } catch (cause) {
    await rm(partial, { force: true });
    throw new PackFailed({ directory: stage, problem: `${file} cannot be written` }, { cause });
  }
}
