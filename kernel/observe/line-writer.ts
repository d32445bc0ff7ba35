import { write } from 'node:fs';
import { promisify } from 'node:util';
import type { Logger } from '../../sdk/index.ts';

/** Characters that wait for a destination that is slow; what comes then is dropped. Some 20,000 calls. */
const WAITING_LIMIT = 8 * 1024 * 1024;

/** A write begins when this many characters wait, */
const BATCH = 64 * 1024;

/** or this many milliseconds after the first of them: one write for many lines costs a call next to nothing. */
const BATCH_MS = 50;

/** Time that a destination gets for the last lines, in milliseconds. */
const CLOSE_LIMIT_MS = 2_000;

/** Parts of {@link LineWriter}. */
export interface LineWriterParts {
  /** Name of the destination, for messages. */
  readonly destination: string;
  /** Takes whole lines; called again only after it has settled. */
  readonly append: (text: string) => Promise<void>;
  /** Told of lines that are lost: there was no room, or the destination failed. */
  readonly onDropped: (lines: number, reason: 'full' | 'failed') => void;
  readonly log: Logger;
}

/**
 * Writes lines behind the back of those who make them: bounded, in batches, never throwing.
 *
 * @remarks A destination that hangs costs lines, which are counted, and nothing else.
 */
export class LineWriter {
  readonly #parts: LineWriterParts;
  #lines: string[] = [];
  #waitingCharacters = 0;
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> | undefined;
  #isFailing = false;

  constructor(parts: LineWriterParts) {
    this.#parts = parts;
  }

  /** Takes a line with its line feed. */
  write(line: string): void {
    if (this.#waitingCharacters + line.length > WAITING_LIMIT) {
      this.#parts.onDropped(1, 'full');
      return;
    }
    this.#lines.push(line);
    this.#waitingCharacters += line.length;
    if (this.#writing !== undefined) return;
    if (this.#waitingCharacters >= BATCH) this.#begin();
    else this.#timer ??= setTimeout(() => this.#begin(), BATCH_MS).unref();
  }

  #begin(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#writing ??= this.#writeAll().finally(() => {
      this.#writing = undefined;
    });
  }

  async #writeAll(): Promise<void> {
    while (this.#lines.length > 0) {
      const lines = this.#lines;
      const text = lines.join('');
      this.#lines = [];
      try {
        await this.#parts.append(text);
        this.#tell(undefined);
      } catch (error) {
        this.#parts.onDropped(lines.length, 'failed');
        this.#tell(error);
      }
      // Only now: until it is written it takes up the room.
      this.#waitingCharacters -= text.length;
    }
  }

  /** Says once that lines are lost, and once that they no longer are. */
  #tell(error: unknown): void {
    const { log, destination } = this.#parts;
    const isFailing = error !== undefined;
    if (isFailing === this.#isFailing) return;
    this.#isFailing = isFailing;
    if (isFailing)
      log.error('the access log cannot be written; its lines are dropped', { destination, error });
    else log.info('the access log is written again', { destination });
  }

  /** Writes what waits; gives up on a destination that hangs. */
  async close(): Promise<void> {
    this.#begin();
    let timer: NodeJS.Timeout | undefined;
    const limit = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, CLOSE_LIMIT_MS);
    });
    await Promise.race([this.#writing, limit]);
    clearTimeout(timer);
  }
}

const writeTo = promisify(write);

/** Largest write to a pipe that no other writer's can come between, in bytes (`PIPE_BUF` of Linux). */
const PIPE_BYTES = 4096;

const STDERR = 2;

/**
 * Writes lines to stderr from a thread of the pool: `process.stderr.write` would make every call wait for whoever reads
 * the other end.
 */
export async function appendToStderr(text: string): Promise<void> {
  for (const piece of piecesOf(Buffer.from(text))) {
    for (let sent = 0; sent < piece.byteLength;) {
      const { bytesWritten } = await writeTo(STDERR, piece, sent);
      sent += bytesWritten;
    }
  }
}

/** Whole lines, as many as can be written in one go. */
function* piecesOf(bytes: Buffer): Generator<Buffer> {
  for (let start = 0; start < bytes.byteLength;) {
    const fits = bytes.lastIndexOf(0x0a, start + PIPE_BYTES - 1);
    const end = fits >= start ? fits + 1 : bytes.indexOf(0x0a, start) + 1;
    yield bytes.subarray(start, end === 0 ? bytes.byteLength : end);
    start = end === 0 ? bytes.byteLength : end;
  }
}
