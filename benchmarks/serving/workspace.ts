import { execFile } from 'node:child_process';
import { access, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { ROOT } from '../harness/kernel-server.ts';

const run = promisify(execFile);
const INSTALL_TIMEOUT_MS = 900_000;

/** Where the sources of the peers lie. */
export const PEERS: string = path.join(ROOT, 'benchmarks/serving/peers');

/** A folder in the user's cache for what the benchmark installs and builds. */
export class Workspace {
  readonly folder: string;

  private constructor(folder: string) {
    this.folder = folder;
  }

  static async open(): Promise<Workspace> {
    const cache = process.env['XDG_CACHE_HOME'] ?? path.join(homedir(), '.cache');
    const folder = path.join(cache, 'lamella/bench/serving');
    await mkdir(folder, { recursive: true });
    return new Workspace(folder);
  }

  /** Builds the program that puts load on servers. @throws when there is no Go */
  async buildLoadProgram(): Promise<string> {
    const program = path.join(this.folder, 'load');
    await run('go', ['build', '-o', program, '.'], { cwd: path.join(ROOT, 'benchmarks/serving/load') });
    return program;
  }

  /**
   * Folder of a Python environment with these packages, which is made the first time.
   *
   * @throws Error with the last line of what the installer says
   */
  async python(name: string, packages: readonly string[]): Promise<string> {
    const folder = path.join(this.folder, `venv-${name}`);
    const marker = path.join(folder, 'lamella-packages');
    const wanted = packages.join(' ');
    if ((await readFile(marker, 'utf8').catch(() => '')) === wanted) return folder;
    await rm(folder, { recursive: true, force: true });
    await run('python3', ['-m', 'venv', folder]);
    try {
      const options = { timeout: INSTALL_TIMEOUT_MS, maxBuffer: 16 * 1_024 * 1_024 };
      await run(path.join(folder, 'bin/pip'), ['install', '--no-input', '-q', ...packages], options);
    } catch (error) {
      throw new Error(`${name} could not be installed: ${lastLine(error)}`, { cause: error });
    }
    await writeFile(marker, wanted);
    return folder;
  }

  /** Folder of a package in a Python environment. */
  async packageFolder(environment: string, name: string): Promise<string> {
    const code = `import importlib.util; print(importlib.util.find_spec('${name}').submodule_search_locations[0])`;
    const { stdout } = await run(path.join(environment, 'bin/python'), ['-c', code]);
    await access(stdout.trim());
    return stdout.trim();
  }

  /** An empty folder for one server. */
  async fresh(name: string): Promise<string> {
    const folder = path.join(this.folder, `home-${name}`);
    await rm(folder, { recursive: true, force: true });
    await mkdir(folder, { recursive: true });
    return folder;
  }
}

function lastLine(error: unknown): string {
  const text = (error as { readonly stderr?: string }).stderr ?? String(error);
  return text.trim().split('\n').at(-1) ?? '';
}
