import { access } from 'node:fs/promises';
import path from 'node:path';
import { runTool, toolCache } from '../tool.ts';

/**
 * Python of an environment with some packages, which is made once.
 *
 * @param name - Name of the environment; it says the versions, since a change of them needs a new one.
 * @param check - Statements that only work when all is there.
 */
export async function pythonEnvironment(
  name: string,
  packages: readonly string[],
  check: string,
): Promise<string> {
  const folder = await toolCache(name);
  const python = path.join(folder, 'bin', 'python');
  const works = await access(python)
    .then(() => runTool(python, ['-c', check]))
    .then(
      () => true,
      () => false,
    );
  if (works) return python;
  await runTool('python3', ['-m', 'venv', '--clear', folder]);
  await runTool(python, ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', ...packages]);
  return python;
}
