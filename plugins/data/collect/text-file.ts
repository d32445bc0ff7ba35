import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { SourceUnreadable } from './errors.ts';

/** Bytes looked at to guess the encoding. */
const SAMPLE_BYTES = 64 * 1024;

/** Encodings that are tried on a file without a mark, in order; GBK takes almost anything, so it comes last. */
const CANDIDATES = ['utf-8', 'gb18030'];

/**
 * Decoded text of a file, chunk by chunk. The encoding is read off the byte order mark, else it is the first of UTF-8
 * and GB18030 (of which GBK is a part) that fits.
 *
 * @throws SOURCE_UNREADABLE
 */
export async function* readText(path: string, signal: AbortSignal): AsyncGenerator<string> {
  const encoding = await detect(path);
  const stream = createReadStream(path, { signal });
  const decoder = new TextDecoder(encoding, { fatal: true });
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) yield decoder.decode(chunk, { stream: true });
    yield decoder.decode();
  } catch (cause) {
    if (signal.aborted) throw signal.reason;
    const problem =
      cause instanceof TypeError ? `its text is not valid ${encoding}` : (cause as Error).message;
    throw new SourceUnreadable({ source: path, problem }, { cause });
  }
}

async function detect(path: string): Promise<string> {
  const file = await open(path).catch((cause: Error) => {
    throw new SourceUnreadable({ source: path, problem: cause.message }, { cause });
  });
  try {
    const { buffer, bytesRead } = await file
      .read(Buffer.alloc(SAMPLE_BYTES), 0, SAMPLE_BYTES, 0)
      .catch((cause: Error) => {
        throw new SourceUnreadable({ source: path, problem: cause.message }, { cause });
      });
    const sample = buffer.subarray(0, bytesRead);
    if (sample[0] === 0xff && sample[1] === 0xfe) return 'utf-16le';
    if (sample[0] === 0xfe && sample[1] === 0xff) return 'utf-16be';
    // The sample may end inside a character, which `stream` forgives.
    const fits = (encoding: string): boolean => {
      try {
        new TextDecoder(encoding, { fatal: true }).decode(sample, { stream: true });
        return true;
      } catch {
        return false;
      }
    };
    return CANDIDATES.find(fits) ?? 'utf-8';
  } finally {
    await file.close();
  }
}
