import { timestampDate } from '@bufbuild/protobuf/wkt';
import type { Command } from 'commander';
import {
  PluginService,
  PluginState,
  type Transition,
} from '../../proto/gen/lamella/kernel/v1/plugin_service_pb.ts';
import { connectOptions, findKernel, withService } from './connect.ts';
import { wrap } from './error-text.ts';
import { nameOf } from './plugin-table.ts';
import type { Terminal } from './terminal.ts';

/** `lamella plugin history ID`: what happened to a plugin, and why. */
export function addPluginHistoryCommand(plugin: Command, terminal: Terminal): void {
  const command = plugin
    .command('history')
    .description('show the last changes of state of a plugin, also of one that was unloaded')
    .argument('<id>', 'plugin id')
    .option('--json', 'print JSON');
  for (const option of connectOptions()) command.addOption(option);
  command.action(async (id: string, { json }: { readonly json?: true }) => {
    const kernel = await findKernel(command, terminal);
    const { transitions } = await withService(kernel, PluginService, (plugins) => plugins.getHistory({ id }));
    const rows = transitions.map(rowOf);
    terminal.out(json === true ? JSON.stringify(rows, undefined, 2) : rows.map(text).join('\n'));
  });
}

interface Row {
  readonly time: string;
  readonly version: string;
  readonly state: string;
  readonly reason: string;
}

function rowOf({ time, version, state, reason }: Transition): Row {
  return {
    time: time === undefined ? '' : timestampDate(time).toISOString(),
    version,
    state: nameOf(PluginState, state, 'PLUGIN_STATE_'),
    reason,
  };
}

function text({ time, version, state, reason }: Row): string {
  const line = `${time}  ${version.padEnd(8)}  ${state}`;
  return reason === '' ? line : `${line}\n${wrap(`  ${reason}`)}`;
}
