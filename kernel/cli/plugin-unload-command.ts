import type { Command } from 'commander';
import { pluginAction } from './plugin-action.ts';
import type { Terminal } from './terminal.ts';

/** `lamella plugin unload ID`: drains and stops a plugin and forgets it. */
export function addPluginUnloadCommand(plugin: Command, terminal: Terminal): void {
  const command = plugin
    .command('unload')
    .argument('<id>', 'plugin id')
    .option('--force', 'also when other plugins require it; they turn DEGRADED until it is loaded again');
  pluginAction(command, terminal, async (plugins, id) => {
    await plugins.unloadPlugin({ id, force: command.opts<{ force?: true }>().force === true });
    return undefined;
  }).description('drain and stop a plugin and forget it');
}
