import { statfs } from 'node:fs/promises';
import type { Database } from 'lmdb';

const MIB = 1024 * 1024;

/** Values up to this size, in bytes, are records about something; larger ones are the thing itself. */
const RECORD_BYTES = 65_536;

/** Room of the disk that is left free, in bytes, so that when data finds none there still is some to tidy up. */
const RESERVE_BYTES = { data: 16 * MIB, record: 4 * MIB, removal: MIB } as const;

/** The figures of `getStats()` of an lmdb database that are used here; its types do not name them. */
interface LmdbStats extends TreeStats {
  readonly pageSize: number;
  readonly lastPageNumber: number;
  readonly free: TreeStats;
}

interface TreeStats {
  readonly treeBranchPageCount: number;
  readonly treeLeafPageCount: number;
  readonly overflowPages: number;
}

/** An lmdb environment with one unnamed database, and where it lies. */
export interface LmdbEnvironment {
  /** The opened database. */
  readonly database: Pick<Database, 'getStats'>;
  /** Folder of its file. */
  readonly directory: string;
}

/**
 * Refuses a change to an lmdb environment before the disk is full.
 *
 * @remarks lmdb 3.5 does not survive a write that finds no room: its writer thread corrupts the heap while it words the
 * error, and the process aborts. So data stops when the disk has 16 MiB left, unless pages inside the file can be used
 * again, records of up to 64 KiB at 4 MiB, and removing, which lmdb cannot do without writing, at 1 MiB.
 * @param sizeBytes - Size of what is written; `undefined` for a removal. lmdb may need twice the size for a while.
 * @throws Error that says how much is free; callers word it as their own.
 */
export async function requireLmdbRoom(
  { database, directory }: LmdbEnvironment,
  sizeBytes: number | undefined,
): Promise<void> {
  const freeBytes = await freeBytesOf(directory);
  const keptBytes = RESERVE_BYTES[kindOf(sizeBytes)];
  const wantedBytes = 2 * (sizeBytes ?? 0);
  if (freeBytes - keptBytes >= wantedBytes) return;
  // Going through the file takes longer than most writes, so it is left for the end.
  const reusable = reusableBytes(database.getStats() as LmdbStats);
  const isRoom =
    reusable >= wantedBytes && freeBytes >= (sizeBytes ?? 0) + RESERVE_BYTES.removal && reusable > 0;
  if (!isRoom) {
    throw new Error(
      `the disk has ${mib(freeBytes)} MiB free, ${mib(wantedBytes + keptBytes)} MiB are needed`,
    );
  }
}

/** Questions under way, by folder: writes that come at once need to ask only once. */
const asking: Map<string, Promise<number>> = new Map();

function freeBytesOf(directory: string): Promise<number> {
  const asked = asking.get(directory);
  if (asked !== undefined) return asked;
  const answer = statfs(directory)
    .then(({ bavail, bsize }) => bavail * bsize)
    .finally(() => asking.delete(directory));
  asking.set(directory, answer);
  return answer;
}

function kindOf(sizeBytes: number | undefined): keyof typeof RESERVE_BYTES {
  if (sizeBytes === undefined) return 'removal';
  return sizeBytes > RECORD_BYTES ? 'data' : 'record';
}

/** Bytes inside the file that hold nothing any more. */
function reusableBytes(stats: LmdbStats): number {
  return (stats.lastPageNumber + 1 - pages(stats) - pages(stats.free)) * stats.pageSize;
}

function pages({ treeBranchPageCount, treeLeafPageCount, overflowPages }: TreeStats): number {
  return treeBranchPageCount + treeLeafPageCount + overflowPages;
}

function mib(bytes: number): string {
  return (bytes / MIB).toFixed(1);
}

/**
 * What is behind a write that lmdb refused, for example a quota.
 *
 * @remarks lmdb rejects the write with "Commit failed" and tells the cause through a second promise, `commitError`; when
 * nobody takes that one its rejection ends the process. Every catch around a write to lmdb must come through here.
 */
export async function lmdbCause(error: unknown): Promise<Error> {
  const thrown = error instanceof Error ? error : new Error(String(error));
  if (!('commitError' in thrown)) return thrown;
  try {
    await thrown.commitError;
    return thrown;
  } catch (cause) {
    return cause instanceof Error ? cause : thrown;
  }
}

/**
 * Closes an environment whose writes have ended.
 *
 * @remarks lmdb ends its shared read transaction by a timer of 0 ms, which throws where nobody catches when the
 * environment is closed by then; so it is ended here.
 */
export async function closeLmdb(database: Pick<Database, 'close'>): Promise<void> {
  (database as unknown as { resetReadTxn(): void }).resetReadTxn();
  await database.close();
}
