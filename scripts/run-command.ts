import { spawn } from 'node:child_process';
import path from 'node:path';

/** Root of the repository, seen from `dist/scripts/`. */
export const ROOT: string = path.resolve(import.meta.dirname, '..', '..');

/** How a command ended, with everything it printed. */
export interface CommandResult {
  readonly status: number;
  readonly output: string;
}

/** Runs a tool of `node_modules/.bin` (or of the path) in the root and collects its output. */
export async function runCommand(command: string, ...args: readonly string[]): Promise<CommandResult> {
  const bin = path.join(ROOT, 'node_modules', '.bin');
  const child = spawn(command, args, {
    cwd: ROOT,
    env: { ...process.env, PATH: `${bin}${path.delimiter}${process.env['PATH'] ?? ''}` },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const chunks: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => chunks.push(chunk));
  const status = await new Promise<number>((resolve) => {
    child.once('error', (error) => {
      chunks.push(Buffer.from(`${command} could not be started: ${error.message}; run 'npm ci' first.\n`));
      resolve(127);
    });
    child.once('close', (code) => {
      resolve(code ?? 1);
    });
  });
  return { status, output: Buffer.concat(chunks).toString('utf8') };
}
