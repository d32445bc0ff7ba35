import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type Plugin, PluginService } from '../../proto/gen/lamella/kernel/v1/plugin_service_pb.ts';
import type { Client } from '../../sdk/index.ts';
import { createKernel, type Kernel } from '../kernel.ts';
import { FolderWatch } from '../loader/folder-watch.ts';
import { readManifest } from '../registry/manifest.ts';
import { type Connection, withService } from './connect.ts';
import { errorText } from './error-text.ts';
import { pluginRow } from './plugin-table.ts';
import { readyText } from './start.ts';
import { StopSignal } from './stop-signal.ts';
import type { Terminal } from './terminal.ts';

/** What `lamella plugin dev` is asked for. */
export interface DevOptions {
  readonly directory: string;
  /** A kernel that runs, or the ports of one that is started for as long as the command runs. */
  readonly kernel: Connection | { readonly grpcPort: number; readonly httpPort: number };
}

type Plugins = Client<typeof PluginService>;
/** Lets a function call PluginService, on whatever kernel it is. */
type Use = <Result>(run: (plugins: Plugins) => Promise<Result>) => Promise<Result>;

/** Serves a plugin and takes it anew whenever something in its folder is saved, until a signal says to stop. */
export async function developPlugin(options: DevOptions, terminal: Terminal): Promise<void> {
  const directory = path.resolve(options.directory);
  const { id } = await readManifest(directory);
  const where = options.kernel;
  if ('target' in where) {
    await loop({ id, directory, terminal, use: (run) => withService(where, PluginService, run) });
    return;
  }
  // Not below the plugin's folder, where what the kernel writes would count as a change.
  const home = await mkdtemp(path.join(tmpdir(), 'lamella-dev-'));
  const kernel = createKernel({ home, ...where, metricsPort: 0, logLevel: 'info' });
  try {
    terminal.out(readyText(await kernel.start()));
    await loop({ id, directory, terminal, use: own(kernel) });
  } finally {
    await kernel.stop();
    await rm(home, { recursive: true, force: true });
  }
}

function own(kernel: Kernel): Use {
  return (run) => run(kernel.call(PluginService));
}

interface Development {
  readonly id: string;
  readonly directory: string;
  readonly terminal: Terminal;
  readonly use: Use;
}

async function loop(development: Development): Promise<void> {
  const { id, directory, terminal, use } = development;
  const wasLoaded = await isLoaded(development);
  const stop = new StopSignal(terminal);
  let pending: Promise<void> = take(development);
  const watch = await FolderWatch.open(
    directory,
    () => {
      pending = pending.then(() => take(development));
    },
    (error) => terminal.err(errorText(error)),
  );
  try {
    await stop.received();
  } finally {
    await watch.close();
    await pending;
    stop.close();
  }
  // A kernel that somebody else runs is left as it was found.
  if (!wasLoaded && (await isLoaded(development))) await use((plugins) => plugins.unloadPlugin({ id }));
}

/** Loads the plugin, or what has become of it; a failure is shown, and the next save is the next try. */
async function take(development: Development): Promise<void> {
  const { id, directory, terminal, use } = development;
  const started = performance.now();
  try {
    const loaded = await isLoaded(development);
    const { plugin } = await use<{ plugin?: Plugin | undefined }>((plugins) =>
      loaded ? plugins.reloadPlugin({ id }) : plugins.loadPlugin({ directory }),
    );
    const { version = '', state = '', isolation = '' } = plugin === undefined ? {} : pluginRow(plugin);
    const milliseconds = Math.round(performance.now() - started);
    terminal.out(`${id} ${version} is ${state} (${isolation}) after ${milliseconds} ms; waiting for changes`);
  } catch (error) {
    terminal.err(errorText(error));
  }
}

async function isLoaded({ id, directory, use }: Development): Promise<boolean> {
  const { plugins } = await use((client) => client.listPlugins({ pageSize: 1000 }));
  const found = plugins.find((plugin) => plugin.id === id);
  if (found !== undefined && found.sourceDirectory !== directory) {
    throw new Error(`${id} is loaded from ${found.sourceDirectory}; unload it first.`);
  }
  return found !== undefined;
}
