import assert from 'node:assert/strict';
import { runProgram } from '../../kernel/cli/program.ts';

/** What a command wrote and how it ended. */
export interface Captured {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Surroundings of {@link runLamella}. */
export interface Surroundings {
  readonly environment?: Readonly<Record<string, string>>;
  readonly input?: AsyncIterable<Uint8Array>;
  readonly isInteractive?: boolean;
}

/** Runs the command line in this process. */
export async function runLamella(words: readonly string[], around: Surroundings = {}): Promise<Captured> {
  const out: string[] = [];
  const err: string[] = [];
  const code = await runProgram(words, {
    out: (line) => out.push(line),
    err: (line) => err.push(line),
    isInteractive: around.isInteractive ?? false,
    environment: around.environment ?? {},
    ...(around.input === undefined ? {} : { input: around.input }),
    exit: (given) => assert.fail(`must not exit (${given})`),
  });
  return { code, out: out.join('\n'), err: err.join('\n') };
}
