import type { Command } from 'commander';
import type { Plugin } from '../../proto/gen/lamella/kernel/v1/plugin_service_pb.ts';
import { EXIT_HELP } from './exit-code.ts';
import { addLogCommands } from './log-commands.ts';
import { addInstallCommands } from './install-commands.ts';
import { addPackageCommands } from './package-commands.ts';
import { onePlugin, pluginAction, type Plugins } from './plugin-action.ts';
import { addPluginCapabilitiesCommand } from './plugin-capabilities-command.ts';
import { addPluginRollbackCommand } from './plugin-rollback-command.ts';
import { CANARY_HELP, parseCanary } from './canary-option.ts';
import { addPluginCheckCommand } from './plugin-check-command.ts';
import { addPluginDevCommand } from './plugin-dev-command.ts';
import { addPluginHistoryCommand } from './plugin-history-command.ts';
import { addPluginLoadCommand } from './plugin-load-command.ts';
import { addPluginNewCommand } from './plugin-new-command.ts';
import { addPluginUnloadCommand } from './plugin-unload-command.ts';
import type { Terminal } from './terminal.ts';

/** `lamella plugin …`: what is loaded, and the ways to change that while calls run. */
export function addPluginCommand(program: Command, terminal: Terminal): void {
  const command = program.command('plugin').description('show and change the plugins of a running kernel');
  pluginAction(command.command('list'), terminal, async (plugins) => listAll(plugins)).description(
    'list the plugins',
  );
  addPluginLoadCommand(command, terminal);
  addReloadCommand(command, terminal);
  pluginAction(command.command('promote').argument('<id>', 'plugin id'), terminal, async (plugins, id) =>
    onePlugin((await plugins.promotePlugin({ id })).plugin),
  ).description('give all calls to the canary');
  addPluginRollbackCommand(command, terminal);
  addPluginCapabilitiesCommand(command, terminal);
  addPluginHistoryCommand(command, terminal);
  addPluginUnloadCommand(command, terminal);
  addInstallCommands(command, terminal);
  addPackageCommands(command, terminal);
  addPluginNewCommand(command, terminal);
  addPluginDevCommand(command, terminal);
  addPluginCheckCommand(command, terminal);
  addLogCommands(command, terminal);
  command.addHelpText('after', HELP);
}

function addReloadCommand(command: Command, terminal: Terminal): void {
  const reload = command
    .command('reload')
    .argument('<id>', 'plugin id')
    .option('--canary <percent>', CANARY_HELP, parseCanary);
  pluginAction(reload, terminal, async (plugins, id) => {
    const { canary = 0 } = reload.opts<CanaryOption>();
    return onePlugin((await plugins.reloadPlugin({ id, canaryPercent: canary })).plugin);
  }).description('replace the running instance by a new one');
}

interface CanaryOption {
  readonly canary?: number;
}

async function listAll(plugins: Plugins): Promise<readonly Plugin[]> {
  const all: Plugin[] = [];
  let pageToken = '';
  do {
    const page = await plugins.listPlugins({ pageSize: 1000, pageToken });
    all.push(...page.plugins);
    pageToken = page.nextPageToken;
  } while (pageToken !== '');
  return all;
}

const HELP = `
Examples:
  lamella plugin list
  lamella plugin list --json --address 127.0.0.1:9001
  lamella plugin load ./my-plugin
  lamella plugin load ./my-plugin --isolation process --dry-run
  lamella plugin reload data.store
  lamella plugin reload data.store --canary 10
  lamella plugin promote data.store
  lamella plugin rollback data.store
  lamella plugin history data.store
  lamella plugin unload my.plugin
${EXIT_HELP}`;
