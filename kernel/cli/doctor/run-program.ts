import { execFile } from 'node:child_process';
import { stripVTControlCharacters } from 'node:util';

/** What a program printed, or why it did not run to its end. */
export interface ProgramResult {
  readonly out: string;
  /** Undefined when it ended with 0. */
  readonly problem: string | undefined;
}

/** Longest time for one program, in milliseconds: a driver that hangs must not hang the doctor. */
const TIMEOUT_MS = 30_000;

/** Runs a program without a shell. Never throws: that it cannot run is the finding. */
export async function runProgramFile(
  file: string,
  words: readonly string[],
  input?: Uint8Array,
): Promise<ProgramResult> {
  return new Promise((resolve) => {
    const options = { timeout: TIMEOUT_MS, killSignal: 'SIGKILL' as const, maxBuffer: 1 << 20 };
    const child = execFile(file, words, options, (error, out, err) => {
      resolve({ out: out.trim(), problem: error === null ? undefined : problemOf(error, err) });
    });
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(input);
  });
}

function problemOf(
  error: Error & { code?: unknown; killed?: boolean; signal?: unknown },
  err: string,
): string {
  if (error.code === 'ENOENT') return 'it is not installed';
  if (error.killed === true) return `it did not end within ${TIMEOUT_MS / 1_000} s`;
  const lines = stripVTControlCharacters(err)
    .split('\n')
    .map((line) => line.trim());
  const said = lines.find((line) => /^\w*Error\b/.test(line)) ?? lines.find((line) => line !== '');
  return (
    said ??
    (typeof error.signal === 'string' ? `it was ended by ${error.signal}` : 'it failed without a word')
  );
}
