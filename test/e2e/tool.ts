import { execFile } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { homedir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

const exec = promisify(execFile);
const LARGEST_OUTPUT_BYTES = 32 * 1024 * 1024;

/** Runs a program and returns what it wrote; its error output is in the error when it fails. */
export async function runTool(
  program: string,
  parameters: readonly string[],
  options: { readonly cwd?: string; readonly env?: NodeJS.ProcessEnv } = {},
): Promise<string> {
  const { stdout } = await exec(program, [...parameters], { ...options, maxBuffer: LARGEST_OUTPUT_BYTES });
  return stdout;
}

/**
 * Prepares a tool that a suite needs. Where it cannot be had, the suite is skipped with the reason, but not in CI.
 *
 * @param prepare - Makes it ready and returns where it is.
 */
export async function needTool<Tool>(
  suite: Mocha.Context,
  what: string,
  prepare: () => Promise<Tool>,
): Promise<Tool> {
  try {
    return await prepare();
  } catch (error) {
    if (process.env['CI'] === 'true') throw error;
    const [reason] = (error instanceof Error ? error.message : String(error)).split('\n');
    process.stdout.write(`      skipped, since ${what} is not here: ${reason ?? ''}\n`);
    return suite.skip();
  }
}

/** A folder that outlives the test run, so that a tool is installed once; LAMELLA_TEST_CACHE moves it. */
export async function toolCache(name: string): Promise<string> {
  const base = process.env['LAMELLA_TEST_CACHE'] ?? path.join(homedir(), '.cache', 'lamella-test');
  const folder = path.join(base, name);
  await mkdir(folder, { recursive: true });
  return folder;
}
