import type { Readable } from 'node:stream';
import type { Logger } from '../../sdk/index.ts';
import type { LogLevel } from '../logger.ts';

/** Longest log line taken from a plugin, in bytes; a flood must not become the kernel's memory. */
const LINE_LIMIT = 64 * 1024;

/** Bytes and lines taken of one output in one turn of {@link TURN_MS}; what is written faster waits in the plugin. */
const BYTES_A_TURN = 256 * 1024;
const LINES_A_TURN = 500;
const TURN_MS = 50;

/** What the kernel knows of a plugin's log. */
export interface OutputWatcher {
  /** Tells about a new level. @returns a function that ends it. */
  readonly watchLevel: (watcher: (level: LogLevel) => void) => () => void;
}

/**
 * Passes what a plugin writes on its outputs to its log, line by line.
 *
 * @returns a function that lets go of the outputs.
 */
export function forwardLines(
  outputs: readonly (Readable | null)[],
  { log }: { readonly log: Logger },
): () => void {
  const releases = outputs.map((stream) => (stream === null ? undefined : forward(stream, log)));
  return () => {
    for (const release of releases) release?.();
  };
}

/** Reads no faster than the kernel can bear: a plugin that floods its output is slowed by the pipe, not the kernel. */
function forward(stream: Readable, log: Logger): () => void {
  const lines = new LineCutter((line) => forwardLine(line, log));
  let left = { bytes: BYTES_A_TURN, lines: LINES_A_TURN };
  let waiting: Buffer | undefined;
  const take = (chunk: Buffer): void => {
    const taken = lines.take(chunk, left.lines);
    left = { bytes: left.bytes - taken.bytes, lines: left.lines - taken.lines };
    waiting = taken.bytes < chunk.byteLength ? chunk.subarray(taken.bytes) : undefined;
    if (waiting !== undefined || left.bytes < 0) stream.pause();
  };
  const turn = setInterval(() => {
    left = { bytes: BYTES_A_TURN, lines: LINES_A_TURN };
    if (waiting !== undefined) take(waiting);
    if (waiting === undefined && stream.isPaused()) stream.resume();
  }, TURN_MS).unref();
  stream.on('data', take);
  stream.once('end', () => lines.end());
  stream.on('error', () => undefined);
  return () => {
    clearInterval(turn);
    // The last words of a plugin that crashed: no more than what the pipe held.
    left = { bytes: Infinity, lines: Infinity };
    if (waiting !== undefined) take(waiting);
    stream.resume();
  };
}

/** Cuts bytes into lines; what goes beyond the limit of a line is thrown away as it comes. */
class LineCutter {
  readonly #onLine: (line: string) => void;
  #kept: Buffer[] = [];
  #keptBytes = 0;

  constructor(onLine: (line: string) => void) {
    this.#onLine = onLine;
  }

  /** Takes bytes up to the end of so many lines. @returns how many of both it has taken. */
  take(chunk: Buffer, maxLines: number): { readonly bytes: number; readonly lines: number } {
    let from = 0;
    let lines = 0;
    for (let to = chunk.indexOf(10); to !== -1; to = chunk.indexOf(10, from)) {
      if (lines >= maxLines) return { bytes: from, lines };
      this.#keep(chunk.subarray(from, to));
      this.end();
      from = to + 1;
      lines += 1;
    }
    this.#keep(chunk.subarray(from));
    return { bytes: chunk.byteLength, lines };
  }

  #keep(part: Buffer): void {
    const fitting = part.subarray(0, LINE_LIMIT - this.#keptBytes);
    if (fitting.byteLength === 0) return;
    // A view would keep the whole chunk that it came with.
    this.#kept.push(Buffer.from(fitting));
    this.#keptBytes += fitting.byteLength;
  }

  end(): void {
    if (this.#keptBytes === 0) return;
    const line = Buffer.concat(this.#kept).toString().replace(/\r$/, '');
    this.#kept = [];
    this.#keptBytes = 0;
    this.#onLine(line);
  }
}

/** Plugins log JSON lines; anything else is passed on as text. */
function forwardLine(line: string, log: Logger): void {
  const entry = line.startsWith('{') ? parseEntry(line) : undefined;
  if (entry === undefined) {
    if (line.trim() !== '') log.info(line);
    return;
  }
  const { level, message, time: _time, plugin: _plugin, ...fields } = entry;
  const known = level === 'debug' || level === 'warn' || level === 'error' ? level : 'info';
  log[known](typeof message === 'string' ? message : line, fields);
}

function parseEntry(line: string): Record<string, unknown> | undefined {
  try {
    return JSON.parse(line) as Record<string, unknown>;
  } catch {
    // Not JSON after all: the caller logs the line as it is.
    return undefined;
  }
}

/** Environment variables that a plugin outside the kernel's thread inherits; everything else stays with the kernel. */
const INHERITED = [
  'PATH',
  'HOME',
  'LANG',
  'LC_ALL',
  'TZ',
  'TMPDIR',
  'LD_LIBRARY_PATH',
  'NODE_EXTRA_CA_CERTS',
];

/** Variables by which the runtimes of graphics processors choose what they see. */
const GPU_VARIABLES = ['CUDA_VISIBLE_DEVICES', 'HIP_VISIBLE_DEVICES', 'ONEAPI_DEVICE_SELECTOR'];

/** What hides every device from the two runtimes that take a number for it. */
const NO_GPU: NodeJS.ProcessEnv = { CUDA_VISIBLE_DEVICES: '-1', HIP_VISIBLE_DEVICES: '-1' };

/** The part of an environment that plugins see; graphics processors are hidden from those that were not granted them. */
export function inheritedEnvironment(environment: NodeJS.ProcessEnv, hasGpu = false): NodeJS.ProcessEnv {
  const inherited: NodeJS.ProcessEnv = hasGpu ? {} : { ...NO_GPU };
  for (const name of hasGpu ? [...INHERITED, ...GPU_VARIABLES] : INHERITED) {
    const value = environment[name];
    if (value !== undefined) inherited[name] = value;
  }
  return inherited;
}
