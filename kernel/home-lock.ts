import { randomUUID } from 'node:crypto';
import { link, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { HomeInUse, StorageFailed } from './errors.ts';

/** Keeps two kernels from using one home folder. */
export class HomeLock {
  readonly #file: string;

  private constructor(file: string) {
    this.#file = file;
  }

  /**
   * Takes the folder; a lock left by a process that was killed is taken over.
   *
   * @param name - Name of the file that says so; other work than a kernel's has its own.
   * @throws HOME_IN_USE, STORAGE_FAILED
   */
  static async take(home: string, name = 'kernel.lock'): Promise<HomeLock> {
    const file = path.join(home, name);
    const own = path.join(home, `${name}.${process.pid}.${randomUUID()}`);
    try {
      await makeFolder(home);
      await writeFile(own, `${process.pid} ${(await startTime(process.pid)) ?? ''}\n`, { mode: 0o600 });
      while (!(await linked(own, file))) {
        const owner = await processIn(file);
        if (owner !== undefined) throw new HomeInUse({ home, pid: owner });
        await removeStale(file, own);
      }
    } catch (cause) {
      if (cause instanceof HomeInUse) throw cause;
      throw new StorageFailed({ directory: home, cause: (cause as Error).message }, { cause });
    } finally {
      await rm(own, { force: true }).catch(() => undefined);
    }
    return new HomeLock(file);
  }

  /** Process id of the kernel that has taken a folder, if one has. */
  static async owner(home: string): Promise<string | undefined> {
    return processIn(path.join(home, 'kernel.lock'));
  }

  async close(): Promise<void> {
    await rm(this.#file, { force: true });
  }
}

/**
 * Makes a folder and those above it.
 *
 * @remarks Node's own `recursive` never ends below a folder that takes no others and says ENOENT, as /proc does.
 */
async function makeFolder(folder: string): Promise<void> {
  const make = async (): Promise<void> => {
    await mkdir(folder, { mode: 0o700 }).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    });
  };
  try {
    await make();
  } catch (error) {
    const parent = path.dirname(folder);
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || parent === folder) throw error;
    await makeFolder(parent);
    await make();
  }
}

/** Puts a whole lock in place; false when there is one. Of several that try at once, one succeeds. */
async function linked(own: string, file: string): Promise<boolean> {
  try {
    await link(own, file);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/** Takes away the lock of a dead kernel, and puts back one that a living kernel has just taken. */
async function removeStale(file: string, own: string): Promise<void> {
  const aside = `${own}.stale`;
  try {
    await rename(file, aside);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  try {
    if ((await processIn(aside)) !== undefined) await linked(aside, file);
  } finally {
    await rm(aside, { force: true });
  }
}

/** The running process named in a lock file. The start time tells it from a later process with the same number. */
async function processIn(file: string): Promise<string | undefined> {
  const text = await readFile(file, 'utf8').catch(() => '');
  const [pid = '', started = ''] = text.trim().split(' ');
  if (!/^\d+$/.test(pid) || Number(pid) === process.pid) return undefined;
  try {
    process.kill(Number(pid), 0);
  } catch {
    // No such process: its lock is stale.
    return undefined;
  }
  const actual = await startTime(Number(pid));
  return actual === undefined || actual === started ? pid : undefined;
}

/** Start time of a process in clock ticks (field 22 of /proc/pid/stat); `undefined` where there is no /proc. */
async function startTime(pid: number): Promise<string | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  // The command, field 2, may hold spaces; counting starts behind its closing parenthesis.
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
}
