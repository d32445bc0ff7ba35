import { timestampDate } from '@bufbuild/protobuf/wkt';
import type { Command } from 'commander';
import Table from 'cli-table3';
import {
  type GetCapabilitiesResponse,
  PluginService,
} from '../../proto/gen/lamella/kernel/v1/plugin_service_pb.ts';
import { listRights } from '../capabilities/rights.ts';
import { connectOptions, findKernel, withService } from './connect.ts';
import { PLAIN, tableText } from './plugin-table.ts';
import type { Terminal } from './terminal.ts';

/** `lamella plugin capabilities ID`: what a plugin asks for, what it was granted, and what it does with it. */
export function addPluginCapabilitiesCommand(plugin: Command, terminal: Terminal): void {
  const command = plugin
    .command('capabilities')
    .description('show the rights that a plugin asks for, has and uses')
    .argument('<id>', 'plugin id')
    .option('--json', 'print JSON');
  for (const option of connectOptions()) command.addOption(option);
  command.action(async (id: string) => {
    const kernel = await findKernel(command, terminal);
    const answer = await withService(kernel, PluginService, (plugins) => plugins.getCapabilities({ id }));
    const rows = rightsOf(answer);
    if (command.opts<{ json?: true }>().json === true) {
      terminal.out(JSON.stringify({ id, rights: rows, uses: usesOf(answer) }, undefined, 2));
      return;
    }
    terminal.out(
      table(
        ['right', 'asked', 'granted', 'held by'],
        rows.map((row) => [row.capability, shown(row.asked), shown(row.granted), row.heldBy]),
      ),
    );
    const uses = usesOf(answer).map(({ capability, target, used, denied, last }) => [
      capability,
      target,
      used,
      denied,
      last,
    ]);
    if (uses.length > 0) terminal.out(`\n${table(['right', 'what', 'used', 'denied', 'last'], uses)}`);
  });
}

interface Right {
  readonly capability: string;
  readonly asked: readonly string[];
  readonly granted: readonly string[];
  /** What holds the instance in service to it. */
  readonly heldBy: string;
}

function rightsOf({ asked, granted, heldBy }: GetCapabilitiesResponse): Right[] {
  const [before, after] = [listRights(asked), listRights(granted)];
  return Object.keys(after).map((capability) => ({
    capability,
    asked: before[capability] ?? [],
    granted: after[capability] ?? [],
    heldBy: heldBy[capability] ?? '-',
  }));
}

interface Use {
  readonly capability: string;
  readonly target: string;
  readonly used: number;
  readonly denied: number;
  readonly last: string;
}

function usesOf({ uses }: GetCapabilitiesResponse): Use[] {
  return uses.map(({ capability, target, used, denied, lastTime }) => ({
    capability,
    target,
    used: Number(used),
    denied: Number(denied),
    last: lastTime === undefined ? '' : timestampDate(lastTime).toISOString(),
  }));
}

function shown(values: readonly string[]): string {
  return values.length === 0 ? '-' : values.join('\n');
}

function table(head: string[], rows: readonly (string | number)[][]): string {
  const made = new Table({ head, style: { head: [], border: [], compact: true }, chars: PLAIN });
  for (const row of rows) made.push(row);
  return tableText(made);
}
