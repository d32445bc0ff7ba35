import type { Command } from 'commander';
import { type Plugin, PluginService } from '../../proto/gen/lamella/kernel/v1/plugin_service_pb.ts';
import type { Client } from '../../sdk/index.ts';
import { connectOptions, findKernel, withService } from './connect.ts';
import { pluginLine, pluginRow, pluginTable } from './plugin-table.ts';
import type { Terminal } from './terminal.ts';

interface PluginOptions {
  readonly json?: true;
}

/** PluginService of the kernel that a command speaks to. */
export type Plugins = Client<typeof PluginService>;

/** What all subcommands share: the address, `--json`, the connection, and how the answer is shown. */
export function pluginAction(command: Command, terminal: Terminal, run: PluginQuestion['run']): Command {
  for (const option of connectOptions()) command.addOption(option);
  return command.option('--json', 'print JSON').action(async (...parameters: unknown[]) => {
    const argument = typeof parameters[0] === 'string' ? parameters[0] : '';
    await askPlugins(command, terminal, { argument, run });
  });
}

/** A question to PluginService, and what it is about. */
export interface PluginQuestion {
  readonly argument: string;
  readonly run: (plugins: Plugins, argument: string) => Promise<Plugin | readonly Plugin[] | undefined>;
}

/** Finds the kernel, asks it, and shows the answer. */
export async function askPlugins(
  command: Command,
  terminal: Terminal,
  { argument, run }: PluginQuestion,
): Promise<void> {
  const options = command.opts<PluginOptions>();
  const kernel = await findKernel(command, terminal);
  const answer = await withService(kernel, PluginService, (plugins) => run(plugins, argument));
  show(answer, { terminal, id: argument, json: options.json === true });
}

/** The plugin of an answer. */
export function onePlugin(plugin: Plugin | undefined): Plugin {
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
    terminal.out(pluginLine(answer));
  }
}

function jsonOf(answer: Plugin | readonly Plugin[] | undefined, id: string): unknown {
  if (answer === undefined) return { id, state: 'REMOVED' };
  return isList(answer) ? answer.map(pluginRow) : pluginRow(answer);
}

function isList(answer: Plugin | readonly Plugin[]): answer is readonly Plugin[] {
  return Array.isArray(answer);
}
