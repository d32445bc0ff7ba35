import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { DescService } from '@bufbuild/protobuf';
import { createKernel, type KernelAddresses } from '../../kernel/kernel.ts';
import type { LogLevel } from '../../kernel/logger.ts';
import type { Client } from '../service.ts';

/** Options of {@link startTestKernel}. */
export interface TestKernelOptions {
  /** Folders of the plugins to load. */
  readonly plugins: readonly string[];
  /** Content of the kernel's `config.json`; defaults when left out. */
  readonly config?: Readonly<Record<string, unknown>>;
  /** Home folder; a temporary one that `stop` removes by default. */
  readonly home?: string;
  /** Lowest level that is logged to stderr; `silent` by default, since tests look at behaviour. */
  readonly logLevel?: LogLevel;
  /** Environment for plugin processes and secrets; that of the test by default. */
  readonly environment?: NodeJS.ProcessEnv;
}

/** A kernel for tests: real listeners on free ports, real plugins, nothing shared with other kernels. */
export interface TestKernel {
  readonly addresses: KernelAddresses;
  readonly home: string;
  /** Typed client of a loaded service, without a connection. */
  call<Service extends DescService>(service: Service): Client<Service>;
  /** Loads one more plugin. */
  load(directory: string): Promise<void>;
  /** Replaces a plugin by what its folder holds now. */
  reload(id: string): Promise<void>;
  /** Unloads a plugin. */
  unload(id: string): Promise<void>;
  /** State, reason, process and counts of a plugin, as `lamella plugin list` shows them. */
  describe(id: string): {
    readonly state: string;
    readonly reason: string;
    readonly pid: number | undefined;
    readonly restarts: number;
    /** Level at which the instance runs; `undefined` without one. */
    readonly isolation: string | undefined;
  };
  /** Stops everything and removes a temporary home. */
  stop(): Promise<void>;
}

/**
 * Starts a kernel with the given plugins.
 *
 * @throws what `Kernel.start` throws; nothing is left running then.
 */
export async function startTestKernel(options: TestKernelOptions): Promise<TestKernel> {
  const home = options.home ?? (await mkdtemp(path.join(tmpdir(), 'lamella-test-')));
  await mkdir(home, { recursive: true });
  if (options.config !== undefined) {
    await writeFile(path.join(home, 'config.json'), JSON.stringify(options.config));
  }
  const kernel = createKernel({
    home,
    grpcPort: 0,
    httpPort: 0,
    metricsPort: 0,
    pluginDirectories: options.plugins,
    logLevel: options.logLevel ?? 'silent',
    ...(options.environment === undefined ? {} : { environment: options.environment }),
  });
  const addresses = await kernel.start();
  return {
    addresses,
    home,
    call: (service) => kernel.call(service),
    load: async (directory) => {
      await kernel.plugins.load(directory);
    },
    reload: async (id) => {
      await kernel.plugins.reload(id);
    },
    unload: (id) => kernel.plugins.unload(id),
    describe: (id) => {
      const { state, reason, restarts, slot } = kernel.plugins.record(id);
      return { state, reason, restarts, pid: slot.instance?.pid, isolation: slot.instance?.isolation };
    },
    stop: async () => {
      await kernel.stop();
      if (options.home === undefined) await rm(home, { recursive: true, force: true });
    },
  };
}
