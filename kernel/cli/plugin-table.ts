import Table from 'cli-table3';
import { IsolationLevel } from '../../proto/gen/lamella/kernel/v1/manifest_pb.ts';
import {
  type Instance,
  type Plugin,
  PluginState,
} from '../../proto/gen/lamella/kernel/v1/plugin_service_pb.ts';
import { wrap } from './error-text.ts';

/** What `--json` shows of a plugin: stable names, plain values. */
export interface PluginRow {
  readonly id: string;
  readonly version: string;
  readonly state: string;
  readonly isolation: string;
  readonly services: readonly string[];
  readonly calls: number;
  readonly restarts: number;
  readonly pid: number | null;
  readonly directory: string;
  readonly reason: string;
  /** Every running copy, newest first. */
  readonly instances: readonly InstanceRow[];
}

/** One running copy of a plugin. */
export interface InstanceRow {
  readonly number: number;
  readonly version: string;
  readonly state: string;
  /** Share of the calls, in percent. */
  readonly weight: number;
  readonly calls: number;
  readonly pid: number | null;
}

/** A plugin as a row. */
export function pluginRow(plugin: Plugin): PluginRow {
  return {
    id: plugin.id,
    version: plugin.version,
    state: nameOf(PluginState, plugin.state, 'PLUGIN_STATE_'),
    isolation: nameOf(IsolationLevel, plugin.isolation, 'ISOLATION_LEVEL_'),
    services: plugin.provides.map(({ service, extension }) =>
      extension === '' ? service : `${service} (${extension})`,
    ),
    calls: plugin.inFlight,
    restarts: plugin.restarts,
    pid: plugin.pid === 0 ? null : plugin.pid,
    directory: plugin.sourceDirectory,
    reason: plugin.reason,
    instances: plugin.instances.map(instanceRow),
  };
}

function instanceRow({ number, version, state, weight, inFlight, pid }: Instance): InstanceRow {
  return {
    number: Number(number),
    version,
    state: nameOf(PluginState, state, 'PLUGIN_STATE_'),
    weight,
    calls: inFlight,
    pid: pid === 0 ? null : pid,
  };
}

/** One plugin in one line. */
export function pluginLine(plugin: Plugin): string {
  const { id, version, state, isolation, reason } = pluginRow(plugin);
  return `${id} ${version} is ${state} (${isolation})${reason === '' ? '' : `: ${reason}`}`;
}

/** The version in service, or all that share the calls. */
function versionText({ version, instances }: PluginRow): string {
  const serving = instances.filter(({ weight }) => weight > 0).toReversed();
  if (serving.length < 2) return version;
  return serving.map((instance) => `${instance.version} ${instance.weight}%`).join(', ');
}

/** A table for a terminal of 80 columns, then the reason of each plugin that has one. */
export function pluginTable(plugins: readonly Plugin[]): string {
  if (plugins.length === 0) return "No plugins are loaded; 'lamella plugin load DIR' loads one.";
  const table = new Table({
    head: ['id', 'version', 'state', 'isolation', 'calls', 'restarts'],
    style: { head: [], border: [], compact: true },
    chars: PLAIN,
  });
  const rows = plugins.map(pluginRow);
  for (const row of rows) {
    table.push([row.id, versionText(row), row.state, row.isolation, row.calls, row.restarts]);
  }
  const reasons = rows
    .filter(({ reason }) => reason !== '')
    .map(({ id, reason }) => wrap(`${id}: ${reason}`));
  return [tableText(table), ...reasons].join('\n');
}

/** A table as lines without trailing spaces. */
export function tableText(table: { toString(): string }): string {
  return table
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n');
}

/** Columns by spaces alone: fits pipes, logs and terminals without line-drawing characters. */
export const PLAIN: Record<string, string> = {
  top: '',
  'top-mid': '',
  'top-left': '',
  'top-right': '',
  bottom: '',
  'bottom-mid': '',
  'bottom-left': '',
  'bottom-right': '',
  left: '',
  'left-mid': '',
  mid: '',
  'mid-mid': '',
  right: '',
  'right-mid': '',
  middle: '',
};

/** Name of an enum value without what all names of the enum begin with. */
export function nameOf(
  names: Readonly<Record<string, string | number>>,
  value: number,
  prefix: string,
): string {
  const name = Object.keys(names).find((key) => names[key] === value) ?? String(value);
  return name.startsWith(prefix) ? name.slice(prefix.length) : name;
}
