import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Manifest } from '../../../proto/gen/lamella/kernel/v1/manifest_pb.ts';
import type { LinkClient } from '../../link/link-client.ts';
import { inheritedEnvironment } from '../../loader/plugin-output.ts';
import { startLimitMs } from '../../loader/time-limits.ts';
import { waitUntilHealthy } from '../../loader/readiness.ts';

/** A plugin's program without a kernel around it, so that its signals and its stdin can be seen to. */
export class Standalone {
  readonly socketPath: string;
  readonly child: ChildProcess;
  readonly link: LinkClient;
  /** How it ended: `exit code 0`, `signal SIGTERM`. */
  readonly ended: Promise<string>;
  readonly #folder: string;

  private constructor(
    parts: Pick<Standalone, 'socketPath' | 'child' | 'link' | 'ended'> & { folder: string },
  ) {
    this.socketPath = parts.socketPath;
    this.child = parts.child;
    this.link = parts.link;
    this.ended = parts.ended;
    this.#folder = parts.folder;
  }

  /** @throws Error if it does not become healthy; nothing is left of it then. */
  static async start(
    manifest: Manifest,
    directory: string,
    environment: NodeJS.ProcessEnv,
  ): Promise<Standalone> {
    const folder = await mkdtemp(path.join(tmpdir(), 'lamella-check-'));
    const socketPath = path.join(folder, 'plugin.sock');
    const [command = '', ...words] = manifest.entry?.command ?? [];
    const child = spawn(command, words, {
      cwd: directory,
      detached: true,
      stdio: ['pipe', 'ignore', 'ignore'],
      env: {
        ...inheritedEnvironment(environment),
        LAMELLA_PLUGIN_ID: manifest.id,
        LAMELLA_PLUGIN_DIRECTORY: directory,
        LAMELLA_PLUGIN_SOCKET: socketPath,
        LAMELLA_PLUGIN_TOKEN: 'none',
        LAMELLA_KERNEL_SOCKET: path.join(folder, 'no-kernel.sock'),
      },
    });
    const ended = new Promise<string>((resolve) => {
      child.once('error', (error) => resolve(error.message));
      child.once('exit', (code, signal) =>
        resolve(signal === null ? `exit code ${code ?? 0}` : `signal ${signal}`),
      );
    });
    child.stdin?.on('error', () => undefined);
    try {
      const link = await waitUntilHealthy({
        pluginId: manifest.id,
        socketPath,
        limitMs: startLimitMs(manifest),
        exited: ended,
      });
      return new Standalone({ socketPath, child, link, ended, folder });
    } catch (error) {
      kill(child.pid, 'SIGKILL');
      await rm(folder, { recursive: true, force: true });
      throw error;
    }
  }

  /** How it ended, or `undefined` when it has not ended in time. */
  async end(limitMs: number): Promise<string | undefined> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<undefined>((resolve) => {
      timer = setTimeout(resolve, limitMs, undefined);
    });
    const how = await Promise.race([this.ended, late]);
    clearTimeout(timer);
    return how;
  }

  /** Asks the whole process group to stop, as the kernel does. */
  terminate(): void {
    kill(this.child.pid, 'SIGTERM');
  }

  /** Whether a process of its group is still there. */
  get hasRemains(): boolean {
    return kill(this.child.pid, 0);
  }

  async close(): Promise<void> {
    kill(this.child.pid, 'SIGKILL');
    await this.ended;
    await this.link.close();
    await rm(this.#folder, { recursive: true, force: true });
  }
}

/** Signals a process group; false when there is none. */
function kill(pid: number | undefined, signal: NodeJS.Signals | 0): boolean {
  if (pid === undefined) return false;
  try {
    process.kill(-pid, signal);
    return true;
  } catch (error) {
    // EPERM is told of a group of zombies on some systems; neither has anything that runs.
    if (['ESRCH', 'EPERM'].includes((error as NodeJS.ErrnoException).code ?? '')) return false;
    throw error;
  }
}
