import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { pathProblem, PathSet } from './entry-path.ts';
import { PACKAGE_LIMITS } from './limits.ts';

/** Lists every other file of a package with its SHA-256; this is what is signed. */
export const DIGESTS_FILE = 'digests.json';

/** Form of `digests.json`; part of the signed text, so that a signature is good for nothing else. */
const FORMAT = 'lamella-plugin-digests/1';

/** One file of a package. */
export interface FileDigest {
  /** SHA-256 of its content in hexadecimal. */
  readonly sha256: string;
  readonly size: number;
  readonly executable: boolean;
}

/** Content of `digests.json`. */
export interface Digests {
  readonly id: string;
  readonly version: string;
  readonly files: ReadonlyMap<string, FileDigest>;
}

/** The text of `digests.json`: sorted, so that the same files always give the same digest. */
export function formatDigests({ id, version, files }: Digests): string {
  const sorted = [...files].toSorted(([a], [b]) => (a < b ? -1 : 1));
  const json = { format: FORMAT, id, version, files: Object.fromEntries(sorted) };
  return `${JSON.stringify(json, undefined, 2)}\n`;
}

/**
 * Reads the text of `digests.json`.
 *
 * @throws Error with a phrase that says what is wrong.
 */
export function parseDigests(text: string): Digests {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw new Error(`its ${DIGESTS_FILE} is not JSON`);
  }
  const { format, id, version, files } = record(json);
  if (format !== FORMAT) {
    throw new Error(`its ${DIGESTS_FILE} is not of the form '${FORMAT}'; a newer lamella may read it`);
  }
  if (typeof id !== 'string' || typeof version !== 'string') {
    throw new TypeError(`its ${DIGESTS_FILE} does not say id and version`);
  }
  const entries = Object.entries(record(files));
  if (entries.length > PACKAGE_LIMITS.files)
    throw new Error(`it has more than ${PACKAGE_LIMITS.files} files`);
  const paths = new PathSet();
  return {
    id,
    version,
    files: new Map(entries.map(([path, value]) => [path, parseFile(path, value, paths)])),
  };
}

function parseFile(path: string, value: unknown, paths: PathSet): FileDigest {
  const problem = pathProblem(path) ?? paths.add(path);
  if (problem !== undefined) throw new Error(`the path '${printable(path)}' is refused: ${problem}`);
  const { sha256, size, executable } = record(value);
  if (typeof sha256 !== 'string' || !/^[0-9a-f]{64}$/.test(sha256)) {
    throw new Error(`its ${DIGESTS_FILE} has no SHA-256 for '${path}'`);
  }
  if (
    typeof size !== 'number' ||
    !Number.isSafeInteger(size) ||
    size < 0 ||
    typeof executable !== 'boolean'
  ) {
    throw new Error(`its ${DIGESTS_FILE} does not say the size and kind of '${path}'`);
  }
  return { sha256, size, executable };
}

function record(value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new Error(`its ${DIGESTS_FILE} is not the object that it should be`);
  }
  return value as Readonly<Record<string, unknown>>;
}

/** A name from outside for a message: short, and without characters that act on a terminal. */
export function printable(text: string): string {
  const shown = text.replaceAll(/[\p{Cc}\p{Cf}\p{Cs}]/gu, '\u{FFFD}');
  return shown.length > 120 ? `${shown.slice(0, 120)}…` : shown;
}

/** The name of exactly this content of a package: SHA-256 of the text of `digests.json`. */
export function digestOf(text: string | Uint8Array): string {
  return `sha256:${createHash('sha256').update(text).digest('hex')}`;
}

/** SHA-256 of a file in hexadecimal, in pieces, since it may be a model. */
export async function hashFile(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  return hash.digest('hex');
}
