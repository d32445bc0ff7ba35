import { closeSync, createReadStream, mkdirSync, openSync, writeSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { createGunzip } from 'node:zlib';
import { Parser, type ReadEntry } from 'tar';
import { printable } from './digests.ts';
import { pathProblem, PathSet } from './entry-path.ts';
import { PackageInvalid } from './errors.ts';
import { PACKAGE_LIMITS } from './limits.ts';

/** Folder that holds everything in an archive; npm's form, so that a plugin can be published as an npm package. */
export const ARCHIVE_ROOT = 'package/';

/** Longest extended header, in bytes; it holds a path and a size. */
const META_LIMIT_BYTES = 64 * 1024;

/**
 * Unpacks an archive into an empty folder.
 *
 * @remarks Only the parser of `tar` is used: what is written, and where, is decided here, and only plain files are.
 * Nothing is written outside of the folder, whatever the archive says.
 * @param where - Name of the archive in error messages.
 * @throws PACKAGE_INVALID at the first thing that is wrong; what was written until then stays for the caller to remove.
 */
export async function extractArchive(file: string, directory: string, where: string = file): Promise<void> {
  const fail = (problem: string, cause?: unknown): never => {
    throw new PackageInvalid({ package: where, problem }, { cause });
  };
  const { size } = await archiveStat(file).catch((error: unknown) => fail((error as Error).message, error));
  const extraction = new Extraction(directory, size);
  try {
    const source = createReadStream(file);
    const unzipped = source.pipe(createGunzip());
    source.on('error', (error) => unzipped.destroy(error));
    try {
      for await (const chunk of unzipped) extraction.write(chunk as Buffer);
    } finally {
      source.destroy();
    }
    extraction.end();
  } catch (error) {
    fail(problemOf(error as NodeJS.ErrnoException), error);
  } finally {
    extraction.close();
  }
}

async function archiveStat(file: string): Promise<{ readonly size: number }> {
  const stats = await stat(file).catch((cause: unknown) => {
    throw new Error('there is no such file', { cause });
  });
  if (!stats.isFile()) throw new Error('it is not a file');
  if (stats.size > PACKAGE_LIMITS.archiveBytes) {
    throw new Error(`it is larger than ${PACKAGE_LIMITS.archiveBytes} bytes`);
  }
  return stats;
}

/** What we refuse reads well already; zlib and tar speak in codes. */
function problemOf(error: NodeJS.ErrnoException): string {
  if (error.code === 'Z_BUF_ERROR') return 'it is cut off';
  if (error.code?.startsWith('Z_') === true) return 'it is not a gzip file, or damaged';
  if (error.code?.startsWith('TAR_') === true) {
    return `it is no tar archive, damaged or cut off (${printable(error.message)})`;
  }
  return error.message;
}

/** State of one unpacking. Writes are synchronous, so that a refusal ends everything at once. */
class Extraction {
  readonly #directory: string;
  readonly #archiveBytes: number;
  readonly #paths: PathSet = new PathSet();
  readonly #parser: Parser;
  #entries = 0;
  #bytes = 0;
  #descriptor: number | undefined;

  constructor(directory: string, archiveBytes: number) {
    this.#directory = directory;
    this.#archiveBytes = archiveBytes;
    this.#parser = new Parser({
      strict: true,
      maxMetaEntrySize: META_LIMIT_BYTES,
      brotli: false,
      zstd: false,
      onReadEntry: (entry) => this.#take(entry),
    });
    this.#parser.on('ignoredEntry', (entry: ReadEntry) => {
      throw new Error(`it holds an entry of an unknown or oversized kind, '${printable(entry.path)}'`);
    });
    this.#parser.on('error', (error: Error) => {
      throw error;
    });
  }

  write(chunk: Buffer): void {
    // The parser would unpack a second layer by itself, past the limits below.
    if (this.#bytes === 0 && chunk[0] === 0x1f && chunk[1] === 0x8b)
      throw new Error('it is compressed twice');
    this.#bytes += chunk.length;
    if (this.#bytes > PACKAGE_LIMITS.totalBytes) {
      throw new Error(`it unpacks to more than ${PACKAGE_LIMITS.totalBytes} bytes`);
    }
    const isBomb = this.#bytes > this.#archiveBytes * PACKAGE_LIMITS.ratio;
    if (this.#bytes > PACKAGE_LIMITS.ratioFreeBytes && isBomb) {
      throw new Error(`it unpacks to more than ${PACKAGE_LIMITS.ratio} times its size`);
    }
    this.#parser.write(chunk);
  }

  end(): void {
    this.#parser.end();
    if (this.#descriptor !== undefined) throw new Error('it is cut off');
    if (this.#entries === 0) throw new Error('it is empty');
  }

  #take(entry: ReadEntry): void {
    this.#entries += 1;
    if (this.#entries > PACKAGE_LIMITS.files)
      throw new Error(`it has more than ${PACKAGE_LIMITS.files} files`);
    const name = this.#nameOf(entry);
    if (name === undefined) {
      entry.resume();
      return;
    }
    const target = path.join(this.#directory, name);
    mkdirSync(path.dirname(target), { recursive: true, mode: 0o700 });
    const isExecutable = ((entry.mode ?? 0) & 0o111) !== 0;
    // 'wx': a file that is there already, under whatever name the file system takes for the same, is an error.
    const descriptor = openSync(target, 'wx', isExecutable ? 0o700 : 0o600);
    this.#descriptor = descriptor;
    entry.on('data', (chunk) => writeAll(descriptor, chunk as Buffer));
    entry.on('end', () => this.close());
  }

  /** Path of a file within the package; `undefined` for a folder, which its files make. */
  #nameOf(entry: ReadEntry): string | undefined {
    const isFolder = entry.type === 'Directory';
    const full = isFolder ? entry.path.replace(/\/$/, '') : entry.path;
    if (isFolder && `${full}/` === ARCHIVE_ROOT) return undefined;
    const name = full.slice(ARCHIVE_ROOT.length);
    const problem =
      typeProblem(entry) ??
      (full.startsWith(ARCHIVE_ROOT) ? pathProblem(name) : outsideProblem(full)) ??
      (isFolder ? undefined : this.#paths.add(name));
    if (problem !== undefined) throw new Error(`the entry '${printable(entry.path)}' is refused: ${problem}`);
    return isFolder ? undefined : name;
  }

  /** Closes the file that is being written, if any. */
  close(): void {
    if (this.#descriptor !== undefined) closeSync(this.#descriptor);
    this.#descriptor = undefined;
  }
}

function typeProblem({ type }: ReadEntry): string | undefined {
  if (type === 'Directory' || type === 'File' || type === 'OldFile') return undefined;
  return `it is a ${type}, and a package holds plain files only`;
}

function outsideProblem(full: string): string {
  return pathProblem(full) ?? `all that a package holds is below '${ARCHIVE_ROOT}'`;
}

function writeAll(descriptor: number, chunk: Buffer): void {
  for (let offset = 0; offset < chunk.length;) offset += writeSync(descriptor, chunk, offset);
}
