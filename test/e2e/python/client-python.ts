import { pythonEnvironment } from './python-environment.ts';

/** The released client that the suites are written for. */
const PACKAGES: readonly string[] = ['tritonclient[grpc,http]==2.73.0', 'numpy==2.4.6'];

/** Installs NVIDIA's client once, in an environment of its own; returns its Python. */
export async function pythonWithClient(): Promise<string> {
  return pythonEnvironment('tritonclient-2.73.0', PACKAGES, 'import tritonclient.grpc, tritonclient.http');
}
