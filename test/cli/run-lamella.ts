import assert from 'node:assert/strict';
import { runProgram } from '../../kernel/cli/program.ts';

/** What a command printed and how it ended. */
export interface CommandResult {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs a command of `lamella` in this process. */
export async function runLamella(
  words: readonly string[],
  environment: Readonly<Record<string, string | undefined>> = {},
): Promise<CommandResult> {
  const out: string[] = [];
  const err: string[] = [];
  const code = await runProgram(words, {
    out: (line) => out.push(line),
    err: (line) => err.push(line),
    isInteractive: false,
    environment,
    exit: (status) => assert.fail(`must not exit (${status})`),
  });
  return { code, out: out.join('\n'), err: err.join('\n') };
}
