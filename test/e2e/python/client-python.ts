import { access } from 'node:fs/promises';
import path from 'node:path';
import { runTool, toolCache } from '../tool.ts';

/** The released client that the suites are written for. */
const PACKAGES: readonly string[] = ['tritonclient[grpc,http]==2.73.0', 'numpy==2.4.6'];

/** Installs NVIDIA's client once, in an environment of its own; returns its Python. */
export async function pythonWithClient(): Promise<string> {
  const folder = await toolCache('tritonclient-2.73.0');
  const python = path.join(folder, 'bin', 'python');
  const works = await access(python)
    .then(() => runTool(python, ['-c', 'import tritonclient.grpc, tritonclient.http']))
    .then(
      () => true,
      () => false,
    );
  if (works) return python;
  await runTool('python3', ['-m', 'venv', '--clear', folder]);
  await runTool(python, ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', ...PACKAGES]);
  return python;
}
