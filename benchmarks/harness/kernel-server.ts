import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { readOwnerFile } from '../../kernel/access/owner-token.ts';
import { withService } from '../../kernel/cli/connect.ts';
import { type Plugin, PluginService } from '../../proto/gen/lamella/kernel/v1/plugin_service_pb.ts';
import { type ChildServer, startChildServer } from './child-server.ts';

/** Root of the checkout. */
export const ROOT: string = fileURLToPath(new URL('../../../', import.meta.url));

/** Folder of the echo example. */
export const ECHO: string = path.join(ROOT, 'examples/echo');

/** Levels of isolation on one machine. */
export type Level = 'INLINE' | 'WORKER' | 'PROCESS';

/** Starts the program as users have it, with these plugin folders. */
export async function startKernel(folders: readonly string[], level: Level = 'INLINE'): Promise<ChildServer> {
  return startChildServer((ready, home) => {
    mkdirSync(home, { recursive: true });
    const config = { plugins: { 'example.echo': { isolation: level } } };
    writeFileSync(path.join(home, 'config.json'), JSON.stringify(config));
    const ports = ['--grpc-port', '0', '--http-port', '0', '--metrics-port', '0'];
    // Without any folder named the kernel would load all plugins that come with it.
    const none = path.join(home, 'no-plugins');
    mkdirSync(none);
    const plugins = ['--plugins', ...(folders.length === 0 ? [none] : folders)];
    return [
      path.join(ROOT, 'dist/bin/lamella.js'),
      'start',
      '--log-level',
      'error',
      '--home',
      home,
      ...plugins,
      ...ports,
      '--ready-file',
      ready,
    ];
  });
}

/** Replaces a plugin of a running kernel by what its folder holds now. */
export async function reload({ home }: ChildServer, id: string): Promise<Plugin | undefined> {
  const owner = await readOwnerFile(home);
  if (owner === undefined) throw new Error(`No kernel runs on ${home}.`);
  const headers = new Map([['authorization', `Bearer ${owner.token}`]]);
  const { plugin } = await withService(
    { target: { socketPath: owner.socket }, headers },
    PluginService,
    (plugins) => plugins.reloadPlugin({ id }),
  );
  return plugin;
}
