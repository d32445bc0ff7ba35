import type { Command } from 'commander';
import { onePlugin, pluginAction } from './plugin-action.ts';
import type { Terminal } from './terminal.ts';

/** `lamella plugin rollback ID`: takes the newest version out of service again. */
export function addPluginRollbackCommand(plugin: Command, terminal: Terminal): void {
  const command = plugin.command('rollback').argument('<id>', 'plugin id');
  pluginAction(command, terminal, async (plugins, id) =>
    onePlugin((await plugins.rollbackPlugin({ id })).plugin),
  ).description('take a canary or the last upgrade out of service again, at once');
}
