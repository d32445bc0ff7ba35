import path from 'node:path';
import type { Command } from 'commander';
import { type Plugin, PluginService } from '../../proto/gen/lamella/kernel/v1/plugin_service_pb.ts';
import type { Client } from '../../sdk/index.ts';
import { connectOptions, findKernel, withService } from './connect.ts';
import { EXIT_HELP } from './exit-code.ts';
import { addPackageCommands } from './package-commands.ts';
import { pluginRow, pluginTable } from './plugin-table.ts';
import type { Terminal } from './terminal.ts';

interface PluginOptions {
  readonly json?: true;
}

type Plugins = Client<typeof PluginService>;

/** `lamella plugin …`: what is loaded, and the ways to change that while calls run. */
export function addPluginCommand(program: Command, terminal: Terminal): void {
  const command = program.command('plugin').description('show and change the plugins of a running kernel');
  action(command.command('list'), terminal, async (plugins) => listAll(plugins)).description(
    'list the plugins',
  );
  action(
    command.command('load').argument('<dir>', 'folder that holds plugin.json'),
    terminal,
    async (plugins, dir) => one((await plugins.loadPlugin({ directory: path.resolve(dir) })).plugin),
  ).description('load a plugin, or upgrade it without losing a call');
  action(command.command('reload').argument('<id>', 'plugin id'), terminal, async (plugins, id) =>
    one((await plugins.reloadPlugin({ id })).plugin),
  ).description('replace the running instance by a new one');
  action(command.command('unload').argument('<id>', 'plugin id'), terminal, async (plugins, id) => {
    await plugins.unloadPlugin({ id });
    return undefined;
  }).description('drain and stop a plugin and forget it');
  addPackageCommands(command, terminal);
  command.addHelpText('after', HELP);
}

/** What all subcommands share: the address, `--json`, the connection, and how the answer is shown. */
function action(
  command: Command,
  terminal: Terminal,
  run: (plugins: Plugins, argument: string) => Promise<Plugin | readonly Plugin[] | undefined>,
): Command {
  for (const option of connectOptions()) command.addOption(option);
  return command.option('--json', 'print JSON').action(async (...parameters: unknown[]) => {
    const options = command.opts<PluginOptions>();
    const argument = typeof parameters[0] === 'string' ? parameters[0] : '';
    const kernel = await findKernel(command, terminal);
    const answer = await withService(kernel, PluginService, (plugins) => run(plugins, argument));
    show(answer, { terminal, id: argument, json: options.json === true });
  });
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

function one(plugin: Plugin | undefined): Plugin {
  if (plugin === undefined)
    throw new Error('The kernel answered without the plugin; its version is another one.');
  return plugin;
}

interface ShowOptions {
  readonly terminal: Terminal;
  readonly id: string;
  readonly json: boolean;
}

function show(answer: Plugin | readonly Plugin[] | undefined, { terminal, id, json }: ShowOptions): void {
  if (json) {
    terminal.out(JSON.stringify(jsonOf(answer, id), undefined, 2));
  } else if (answer === undefined) {
    terminal.out(`${id} is unloaded.`);
  } else if (isList(answer)) {
    terminal.out(pluginTable(answer));
  } else {
    const { version, state, isolation, reason } = pluginRow(answer);
    terminal.out(`${answer.id} ${version} is ${state} (${isolation})${reason === '' ? '' : `: ${reason}`}`);
  }
}

function jsonOf(answer: Plugin | readonly Plugin[] | undefined, id: string): unknown {
  if (answer === undefined) return { id, state: 'REMOVED' };
  return isList(answer) ? answer.map(pluginRow) : pluginRow(answer);
}

function isList(answer: Plugin | readonly Plugin[]): answer is readonly Plugin[] {
  return Array.isArray(answer);
}

const HELP = `
Examples:
  lamella plugin list
  lamella plugin list --json --address 127.0.0.1:9001
  lamella plugin load ./my-plugin
  lamella plugin reload data.store
  lamella plugin unload my.plugin
${EXIT_HELP}`;
