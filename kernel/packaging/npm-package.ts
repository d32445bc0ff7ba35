import { execFile } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import semver from 'semver';
import { NpmFailed } from './errors.ts';

/** Beginning of a source that is an npm package. */
export const NPM_PREFIX = 'npm:';

const SPECIFIER = /^((?:@[a-z0-9~][a-z0-9._~-]*\/)?[a-z0-9~][a-z0-9._~-]*)(?:@(.+))?$/;

/** Time that npm gets, in milliseconds: a slow line and a package of some hundred MiB. */
const LIMIT_MS = 600_000;

/**
 * Gets the archive of an npm package by the user's own npm, with the user's registry, proxy and credentials.
 *
 * @param specifier - `NAME`, `NAME@RANGE` or `NAME@TAG`; no paths, addresses or repositories.
 * @returns path of the archive in the folder.
 * @throws NPM_FAILED
 */
export async function fetchFromNpm(
  specifier: string,
  directory: string,
  environment: NodeJS.ProcessEnv,
): Promise<string> {
  const [, name, range = ''] = SPECIFIER.exec(specifier) ?? [];
  const isRange = range === '' || semver.validRange(range) !== null || /^[a-z][\w.-]*$/i.test(range);
  if (name === undefined || !isRange) {
    throw new NpmFailed({ package: specifier, problem: 'it must be NAME, NAME@RANGE or NAME@TAG' });
  }
  // No script of the package runs: it is only downloaded.
  const words = ['pack', '--ignore-scripts', '--loglevel=error', `--pack-destination=${directory}`, '--'];
  await promisify(execFile)('npm', [...words, specifier], {
    env: environment,
    cwd: directory,
    timeout: LIMIT_MS,
    maxBuffer: 16 * 1024 * 1024,
  }).catch((cause: unknown) => {
    throw new NpmFailed({ package: specifier, problem: npmProblem(cause) }, { cause });
  });
  const [archive] = (await readdir(directory)).filter((file) => file.endsWith('.tgz'));
  if (archive === undefined) throw new NpmFailed({ package: specifier, problem: 'npm gave no archive' });
  return path.join(directory, archive);
}

/** The line of npm that says what is wrong; the others say where it keeps its log. */
function npmProblem(cause: unknown): string {
  const {
    code,
    stderr = '',
    killed,
  } = cause as NodeJS.ErrnoException & { stderr?: string; killed?: boolean };
  if (code === 'ENOENT') return 'npm is not on the PATH';
  if (killed === true) return `npm took longer than ${LIMIT_MS / 1_000} s`;
  const lines = stderr.split('\n').map((line) => line.replace(/^npm (?:error|ERR!) ?/, '').trim());
  const telling = lines.filter((line) => line !== '' && !/^code |^A complete log|^\S+\.log$/.test(line));
  return (
    telling
      .slice(0, 2)
      .join(' ')
      .replaceAll(/[^\P{Cc}]/gu, '')
      .slice(0, 300) || 'npm failed without a word'
  );
}
