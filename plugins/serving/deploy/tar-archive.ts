import { Header } from 'tar';
import type { CallContext } from 'lamella/sdk';
import type { FileSource, TargetFile } from './target.ts';

const BLOCK_BYTES = 512;

/**
 * Files as one tar archive. It is not compressed, so that its size is known before any file is read; all times, owners and
 * groups are the same, so that the same files give the same archive.
 *
 * @param folder - Put before each path.
 */
export function tarArchive(files: readonly TargetFile[], folder: string): FileSource {
  const entries = files.map((file) => entryOf(file, folder));
  const content = entries.reduce((sum, { source }) => sum + BLOCK_BYTES + padded(source.sizeBytes), 0);
  return {
    sizeBytes: content + 2 * BLOCK_BYTES,
    async *read(context) {
      for (const { header, source } of entries) {
        yield header;
        yield* source.read(context);
        yield new Uint8Array(padded(source.sizeBytes) - source.sizeBytes);
      }
      yield new Uint8Array(2 * BLOCK_BYTES);
    },
  };
}

interface Entry {
  readonly header: Uint8Array;
  readonly source: FileSource;
}

function entryOf({ path, content, isExecutable = false }: TargetFile, folder: string): Entry {
  const source = typeof content === 'string' ? textSource(content) : content;
  const header = new Header({
    path: `${folder}/${path}`,
    mode: isExecutable ? 0o755 : 0o644,
    size: source.sizeBytes,
    mtime: new Date(0),
    type: 'File',
    uid: 0,
    gid: 0,
  });
  const block = Buffer.alloc(BLOCK_BYTES);
  // True when something does not fit, such as a path of more than 255 bytes.
  if (header.encode(block, 0)) throw new Error(`'${folder}/${path}' does not fit a tar header`);
  return { header: block, source };
}

function textSource(text: string): FileSource {
  const bytes = new TextEncoder().encode(text);
  return {
    sizeBytes: bytes.byteLength,
    async *read(_context: CallContext) {
      yield bytes;
    },
  };
}

function padded(sizeBytes: number): number {
  return Math.ceil(sizeBytes / BLOCK_BYTES) * BLOCK_BYTES;
}
