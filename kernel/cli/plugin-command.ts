import path from 'node:path';
import { type Command, Option } from 'commander';
import { IsolationLevel } from '../../proto/gen/lamella/kernel/v1/manifest_pb.ts';
import type { Plugin } from '../../proto/gen/lamella/kernel/v1/plugin_service_pb.ts';
import { EXIT_HELP } from './exit-code.ts';
import { addLogCommands } from './log-commands.ts';
import { addInstallCommands } from './install-commands.ts';
import { addPackageCommands } from './package-commands.ts';
import { onePlugin, pluginAction, type Plugins } from './plugin-action.ts';
import { addPluginCapabilitiesCommand } from './plugin-capabilities-command.ts';
import { addPluginRollbackCommand } from './plugin-rollback-command.ts';
import { parseCanary } from './canary-option.ts';
import { addPluginCheckCommand } from './plugin-check-command.ts';
import { addPluginDevCommand } from './plugin-dev-command.ts';
import { addPluginNewCommand } from './plugin-new-command.ts';
import type { Terminal } from './terminal.ts';

/** `lamella plugin …`: what is loaded, and the ways to change that while calls run. */
export function addPluginCommand(program: Command, terminal: Terminal): void {
  const command = program.command('plugin').description('show and change the plugins of a running kernel');
  pluginAction(command.command('list'), terminal, async (plugins) => listAll(plugins)).description(
    'list the plugins',
  );
  addLoadCommand(command, terminal);
  addReloadCommand(command, terminal);
  pluginAction(command.command('promote').argument('<id>', 'plugin id'), terminal, async (plugins, id) =>
    onePlugin((await plugins.promotePlugin({ id })).plugin),
  ).description('give all calls to the canary');
  addPluginRollbackCommand(command, terminal);
  addPluginCapabilitiesCommand(command, terminal);
  pluginAction(command.command('unload').argument('<id>', 'plugin id'), terminal, async (plugins, id) => {
    await plugins.unloadPlugin({ id });
    return undefined;
  }).description('drain and stop a plugin and forget it');
  addInstallCommands(command, terminal);
  addPackageCommands(command, terminal);
  addPluginNewCommand(command, terminal);
  addPluginDevCommand(command, terminal);
  addPluginCheckCommand(command, terminal);
  addLogCommands(command, terminal);
  command.addHelpText('after', HELP);
}

function addLoadCommand(command: Command, terminal: Terminal): void {
  const load = command
    .command('load')
    .argument('<dir>', 'folder that holds plugin.json')
    .option('--canary <percent>', CANARY, parseCanary)
    .addOption(new Option('--isolation <level>', 'level of isolation').choices(Object.keys(LEVELS)));
  pluginAction(load, terminal, async (plugins, dir) => {
    const { canary = 0, isolation } = load.opts<LoadCommandOptions>();
    const answer = await plugins.loadPlugin({
      directory: path.resolve(dir),
      canaryPercent: canary,
      ...(isolation === undefined ? {} : { isolation: LEVELS[isolation] }),
    });
    return onePlugin(answer.plugin);
  }).description('load a plugin, or upgrade it without losing a call');
}

function addReloadCommand(command: Command, terminal: Terminal): void {
  const reload = command
    .command('reload')
    .argument('<id>', 'plugin id')
    .option('--canary <percent>', CANARY, parseCanary);
  pluginAction(reload, terminal, async (plugins, id) => {
    const { canary = 0 } = reload.opts<CanaryOption>();
    return onePlugin((await plugins.reloadPlugin({ id, canaryPercent: canary })).plugin);
  }).description('replace the running instance by a new one');
}

interface CanaryOption {
  readonly canary?: number;
}

interface LoadCommandOptions extends CanaryOption {
  readonly isolation?: keyof typeof LEVELS;
}

const LEVELS = {
  inline: IsolationLevel.INLINE,
  worker: IsolationLevel.WORKER,
  process: IsolationLevel.PROCESS,
  remote: IsolationLevel.REMOTE,
} as const;

const CANARY = 'share of the calls that the new version gets at first, 1 to 99';

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
  lamella plugin load ./my-plugin --isolation process
  lamella plugin reload data.store
  lamella plugin reload data.store --canary 10
  lamella plugin promote data.store
  lamella plugin rollback data.store
  lamella plugin unload my.plugin
${EXIT_HELP}`;
