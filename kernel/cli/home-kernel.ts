import path from 'node:path';
import { PluginService } from '../../proto/gen/lamella/kernel/v1/plugin_service_pb.ts';
import { type Client, isDeclaredError } from '../../sdk/index.ts';
import { type OwnerFile, readOwnerFile } from '../access/owner-token.ts';
import { HomeLock } from '../home-lock.ts';
import { LinkUnreachable } from '../link/errors.ts';
import { Installations } from '../packaging/installations.ts';
import type { HomeKernel } from '../packaging/installer.ts';
import { PluginMemory } from '../plugin-memory.ts';
import { LmdbStorage } from '../storage.ts';
import { withService } from './connect.ts';

/** The kernel that runs on a home folder, with a word about it for people. */
export interface FoundKernel {
  readonly kernel: HomeKernel;
  readonly isRunning: boolean;
}

/** Finds the kernel that runs on a home folder; there, and nowhere else, is what an installation is for. */
export async function findHomeKernel(home: string): Promise<FoundKernel> {
  const owner = await readOwnerFile(home);
  if (owner === undefined) return { kernel: new SleepingKernel(home), isRunning: false };
  const kernel = new RunningKernel(owner);
  try {
    await kernel.greet();
    return { kernel, isRunning: true };
  } catch (error) {
    // The file of a kernel that was killed. One that runs and does not answer has the lock still.
    if (!(error instanceof LinkUnreachable)) throw error;
    return { kernel: new SleepingKernel(home), isRunning: false };
  }
}

class RunningKernel implements HomeKernel {
  readonly #owner: OwnerFile;

  constructor(owner: OwnerFile) {
    this.#owner = owner;
  }

  async greet(): Promise<void> {
    await this.#call((plugins) => plugins.listPlugins({ pageSize: 1 }));
  }

  async load(_id: string, directory: string): Promise<void> {
    await this.#call((plugins) => plugins.loadPlugin({ directory }));
  }

  async unload(id: string): Promise<void> {
    await this.#call((plugins) => plugins.unloadPlugin({ id })).catch((error: unknown) => {
      if (!isDeclaredError(error) || error.reason !== 'PLUGIN_NOT_FOUND') throw error;
    });
  }

  async rollBack(id: string): Promise<string | undefined> {
    try {
      const { plugin } = await this.#call((plugins) => plugins.rollbackPlugin({ id }));
      return plugin?.sourceDirectory;
    } catch (error) {
      // Not loaded, or the version before is no longer ready: then it is loaded from its folder.
      const isGone =
        isDeclaredError(error) && ['NOTHING_TO_ROLL_BACK', 'PLUGIN_NOT_FOUND'].includes(error.reason);
      if (isGone) return undefined;
      throw error;
    }
  }

  async #call<Result>(use: (plugins: Client<typeof PluginService>) => Promise<Result>): Promise<Result> {
    const { socket, token } = this.#owner;
    const connection = {
      target: { socketPath: socket },
      headers: new Map([['authorization', `Bearer ${token}`]]),
    };
    return withService(connection, PluginService, use);
  }
}

/** No kernel runs: what an earlier one was told by hand is forgotten, so that what is installed now starts. */
class SleepingKernel implements HomeKernel {
  readonly #home: string;

  constructor(home: string) {
    this.#home = home;
  }

  async load(id: string): Promise<void> {
    const lock = await HomeLock.take(this.#home);
    const storage = new LmdbStorage(path.join(this.#home, 'kernel'));
    try {
      await new PluginMemory(storage, new Installations(this.#home).root).forget(id);
    } finally {
      await storage.close();
      await lock.close();
    }
  }

  async unload(id: string): Promise<void> {
    await this.load(id);
  }

  async rollBack(): Promise<undefined> {
    return undefined;
  }
}
