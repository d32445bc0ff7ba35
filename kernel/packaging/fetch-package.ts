import { cp, mkdir, mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { extractArchive } from './archive-reader.ts';
import { fetchFromNpm, NPM_PREFIX } from './npm-package.ts';
import { stagePlugin } from './pack.ts';
import { filesOf, isPackage, readPackage, type SoundPackage } from './package-folder.ts';
import { DIGESTS_FILE } from './digests.ts';
import { SIGNATURE_FILE } from './signature.ts';

/** What an operator gives to `install`. */
export interface PackageSource {
  /** Archive, folder, or `npm:NAME[@RANGE]`. */
  readonly source: string;
  /** Environment for npm. */
  readonly environment: NodeJS.ProcessEnv;
}

/**
 * Brings a package into an empty folder and checks it there: what is checked is what is installed.
 *
 * @returns the package, and its source as the lock file shall remember it.
 * @throws PACKAGE_INVALID, MANIFEST_INVALID, NPM_FAILED, PACK_FAILED
 */
export async function fetchPackage(
  { source, environment }: PackageSource,
  stage: string,
): Promise<{ readonly sound: SoundPackage; readonly from: string }> {
  if (source.startsWith(NPM_PREFIX)) {
    const scratch = await mkdtemp(path.join(tmpdir(), 'lamella-npm-'));
    try {
      const archive = await fetchFromNpm(source.slice(NPM_PREFIX.length), scratch, environment);
      await extractArchive(archive, stage, source);
    } finally {
      await rm(scratch, { recursive: true, force: true });
    }
    return { sound: await readPackage(stage, source), from: source };
  }
  const from = path.resolve(source);
  const isFolder = await stat(from).then(
    (stats) => stats.isDirectory(),
    () => false,
  );
  if (!isFolder) {
    await extractArchive(from, stage);
    return { sound: await readPackage(stage, source), from: `file:${from}` };
  }
  if (!(await isPackage(from))) return { sound: await stagePlugin(from, stage), from: `file:${from}` };
  await copyPackage(from, stage);
  return { sound: await readPackage(stage, source), from: `file:${from}` };
}

async function copyPackage(from: string, stage: string): Promise<void> {
  await readPackage(from);
  const names: string[] = [];
  for await (const name of filesOf(from)) names.push(name);
  for (const name of [DIGESTS_FILE, SIGNATURE_FILE, ...names]) {
    await mkdir(path.dirname(path.join(stage, name)), { recursive: true, mode: 0o700 });
    await cp(path.join(from, name), path.join(stage, name)).catch((error: NodeJS.ErrnoException) => {
      // Not every package is signed.
      if (error.code !== 'ENOENT' || name !== SIGNATURE_FILE) throw error;
    });
  }
}
