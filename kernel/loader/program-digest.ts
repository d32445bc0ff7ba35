import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import path from 'node:path';
import type { Manifest } from '../../proto/gen/lamella/kernel/v1/manifest_pb.ts';
import { hashFile } from '../packaging/digests.ts';
import { filesOf } from '../packaging/package-folder.ts';

/** Hidden files, caches and what package managers bring are no part of a program's own code. */
const SKIPPED = /^(?:\..*|node_modules|__pycache__|venv|.*\.pyc|.*\.log)$/;

/** A folder with more than this is not compared, in bytes: reading it would delay every start. */
const LIMIT_BYTES = 256 * 2 ** 20;

/**
 * Names the files that a program in any language consists of by their content: those its manifest lists, or everything
 * in its folder.
 *
 * @returns SHA-256 in hexadecimal; empty for a folder that is too large or holds anything but plain files.
 */
export async function digestProgram({ files, entry }: Manifest, directory: string): Promise<string> {
  const listed = files.length === 0 ? undefined : ['plugin.json', ...files, entry?.command[0] ?? ''];
  try {
    return await digestFiles(directory, await programFiles(directory, listed?.map(normalized)));
  } catch {
    // Links and devices are nothing that could be compared; such a program starts from what its folder holds.
    return '';
  }
}

async function programFiles(directory: string, listed: readonly string[] | undefined): Promise<string[]> {
  const names: string[] = [];
  let sizeBytes = 0;
  for await (const name of filesOf(directory, (part) => SKIPPED.test(part))) {
    if (listed?.some((file) => name === file || name.startsWith(`${file}/`)) === false) continue;
    sizeBytes += (await stat(path.join(directory, name))).size;
    if (sizeBytes > LIMIT_BYTES) throw new Error('it is too large');
    names.push(name);
  }
  return names.sort();
}

async function digestFiles(directory: string, names: readonly string[]): Promise<string> {
  const hash = createHash('sha256');
  for (const name of names) hash.update(`${await hashFile(path.join(directory, name))} ${name}\n`);
  return hash.digest('hex');
}

function normalized(name: string): string {
  return path.posix.normalize(name).replace(/\/$/, '');
}
