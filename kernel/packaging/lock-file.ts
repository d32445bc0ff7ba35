import { randomBytes } from 'node:crypto';
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { Ajv, type ValidateFunction } from 'ajv';
import { type TSchema, Type } from '../../sdk/index.ts';
import { LockFileInvalid } from './errors.ts';

/** Name of the list of what is installed, in the home folder. */
export const LOCK_FILE = 'lamella.lock.json';

/** One version that is installed. */
export interface InstalledVersion {
  readonly version: string;
  /** What was given to `install`. */
  readonly source: string;
  readonly digest: string;
  /** Key of its signature; null when it is not signed. */
  readonly signer: string | null;
  readonly installTime: string;
}

/** A plugin that is installed, and the versions before this one, newest first. */
export interface InstalledPlugin extends InstalledVersion {
  readonly previous: readonly InstalledVersion[];
}

/** Everything that is installed, by plugin id. */
export type Installed = Readonly<Record<string, InstalledPlugin>>;

const VERSION_FIELDS = {
  // Both become names of folders.
  version: Type.String({ pattern: '^[0-9A-Za-z.+-]{1,100}$' }),
  digest: Type.String({ pattern: '^sha256:[0-9a-f]{64}$' }),
  source: Type.String(),
  signer: Type.Union([Type.String(), Type.Null()]),
  installTime: Type.String(),
};

const LOCK_SCHEMA: TSchema = Type.Object({
  lockfileVersion: Type.Literal(1),
  plugins: Type.Record(
    Type.String({ pattern: '^[a-z][a-z0-9-]*(\\.[a-z][a-z0-9-]*)+$' }),
    Type.Object({ ...VERSION_FIELDS, previous: Type.Array(Type.Object(VERSION_FIELDS)) }),
    { additionalProperties: false },
  ),
});

let check: ValidateFunction | undefined;

/** Reads the list; a home without one has nothing installed. @throws LOCK_FILE_INVALID */
export async function readLockFile(home: string): Promise<Installed> {
  const file = path.join(home, LOCK_FILE);
  let json: unknown;
  try {
    json = JSON.parse(await readFile(file, 'utf8'));
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return {};
    throw new LockFileInvalid({ file, problem: (cause as Error).message }, { cause });
  }
  // Compiled when first used, and once.
  check ??= new Ajv({ strict: false }).compile(LOCK_SCHEMA);
  if (!check(json)) {
    const [error] = check.errors ?? [];
    throw new LockFileInvalid({
      file,
      problem: `${error?.instancePath ?? ''} ${error?.message ?? ''}`.trim(),
    });
  }
  return (json as { readonly plugins: Installed }).plugins;
}

/** Replaces the list at once: whoever reads it sees the old or the new one, also after a loss of power. */
export async function writeLockFile(home: string, plugins: Installed): Promise<void> {
  const sorted = Object.fromEntries(Object.entries(plugins).toSorted(([a], [b]) => (a < b ? -1 : 1)));
  const text = `${JSON.stringify({ lockfileVersion: 1, plugins: sorted }, undefined, 2)}\n`;
  await replaceFile(path.join(home, LOCK_FILE), text);
}

/** Writes a file beside its place, makes it durable, and moves it there. */
export async function replaceFile(file: string, text: string): Promise<void> {
  await mkdir(path.dirname(file), { recursive: true, mode: 0o700 });
  const partial = `${file}.${randomBytes(6).toString('hex')}.partial`;
  try {
    const handle = await open(partial, 'wx', 0o600);
    try {
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(partial, file);
  } catch (error) {
    await rm(partial, { force: true });
    throw error;
  }
  await syncFolder(path.dirname(file));
}

/** Makes the names in a folder durable. */
export async function syncFolder(directory: string): Promise<void> {
  // Windows cannot open folders, and keeps names in a journal.
  if (process.platform === 'win32') return;
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
