import { createHash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { ArtifactTooLarge, StorageFull, UploadMalformed } from './errors.ts';

/** Bytes that were received and lie durable under a temporary name. */
export interface StagedObject {
  readonly path: string;
  /** SHA-256 in hexadecimal. */
  readonly digest: string;
  readonly sizeBytes: number;
}

const DIGEST = /^[0-9a-f]{64}$/;
const READ_CHUNK_BYTES = 1_048_576;

/**
 * Files named by the SHA-256 of their content.
 *
 * @remarks A file is written and synced under a temporary name and then renamed, and the folder is synced, so that a
 * name in the store always means the whole content, whenever the process is killed.
 */
export class ObjectStore {
  readonly #directory: string;
  readonly #staging: string;

  constructor(directory: string) {
    this.#directory = path.join(directory, 'objects');
    this.#staging = path.join(directory, 'staging');
  }

  /** Makes the folders and removes what an earlier process left behind: unfinished files and files nobody names. */
  async open(used: ReadonlySet<string>): Promise<void> {
    await rm(this.#staging, { recursive: true, force: true });
    await mkdir(this.#staging, { recursive: true, mode: 0o700 });
    await mkdir(this.#directory, { recursive: true, mode: 0o700 });
    for (const name of await readdir(this.#directory)) {
      if (DIGEST.test(name) && !used.has(name)) await this.remove(name);
    }
  }

  /** Receives a file; nothing stays when the chunks end in an error. @throws ARTIFACT_TOO_LARGE STORAGE_FULL */
  async stage(chunks: AsyncIterable<Uint8Array>, maxBytes: number): Promise<StagedObject> {
    const file = path.join(this.#staging, randomUUID());
    const handle = await open(file, 'wx', 0o600);
    try {
      const received = await receive(handle, chunks, maxBytes);
      await handle.sync();
      await handle.close();
      return { path: file, ...received };
    } catch (error) {
      await handle.close().catch(() => undefined);
      await rm(file, { force: true });
      throw isDiskFull(error) ? new StorageFull({}, { cause: error }) : error;
    }
  }

  /** Gives a staged file its lasting name. */
  async adopt(staged: StagedObject): Promise<void> {
    await rename(staged.path, path.join(this.#directory, staged.digest));
    const directory = await open(this.#directory, 'r');
    try {
      await directory.sync();
    } finally {
      await directory.close();
    }
  }

  /** Forgets a staged file. */
  async discard(staged: StagedObject): Promise<void> {
    await rm(staged.path, { force: true });
  }

  /** Reads a file in chunks of 1 MiB. */
  async *read(digest: string): AsyncGenerator<Uint8Array> {
    for await (const chunk of createReadStream(path.join(this.#directory, digest), {
      highWaterMark: READ_CHUNK_BYTES,
    })) {
      yield chunk as Uint8Array;
    }
  }

  /** Removes a file; no error when there is none. */
  async remove(digest: string): Promise<void> {
    await rm(path.join(this.#directory, digest), { force: true });
  }
}

async function receive(
  handle: FileHandle,
  chunks: AsyncIterable<Uint8Array>,
  maxBytes: number,
): Promise<{ digest: string; sizeBytes: number }> {
  const hash = createHash('sha256');
  let sizeBytes = 0;
  for await (const chunk of chunks) {
    sizeBytes += chunk.length;
    if (sizeBytes > maxBytes) throw new ArtifactTooLarge({ maxBytes: String(maxBytes) });
    hash.update(chunk);
    await writeAll(handle, chunk);
  }
  if (sizeBytes === 0) throw new UploadMalformed({ detail: 'The file is empty' });
  return { digest: hash.digest('hex'), sizeBytes };
}

async function writeAll(handle: FileHandle, chunk: Uint8Array): Promise<void> {
  for (let offset = 0; offset < chunk.length;) {
    const { bytesWritten } = await handle.write(chunk, offset, chunk.length - offset);
    offset += bytesWritten;
  }
}

function isDiskFull(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException | undefined)?.code;
  return code === 'ENOSPC' || code === 'EDQUOT';
}
