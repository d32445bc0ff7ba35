import Table from 'cli-table3';
import type {
  GetCallStatisticsResponse,
  Plugin,
  PluginUsage,
} from '../../../proto/gen/lamella/kernel/v1/plugin_service_pb.ts';
import { PLAIN, pluginRow, tableText } from '../plugin-table.ts';
import type { Looks, Rates } from './rates.ts';

/** Columns by which the lines may be sorted. */
export const SORTS = ['calls', 'errors', 'p99', 'memory', 'name'] as const;

/** A column by which the lines are sorted. */
export type Sort = (typeof SORTS)[number];

/** One plugin as `--json` shows it. */
export interface TopRow extends Rates {
  readonly id: string;
  readonly state: string;
  readonly inFlight: number;
  /** Calls that wait for the plugin to be ready, or for others to end. */
  readonly waiting: number;
  /** Resident memory of its process; `null` where it has none of its own. */
  readonly memoryBytes: number | null;
  readonly restarts: number;
  readonly methods: readonly (Rates & { readonly method: string })[];
}

const SORT_VALUES: Readonly<Record<Sort, (row: TopRow) => number>> = {
  calls: ({ callsPerSecond }) => callsPerSecond,
  errors: ({ errorsPerSecond }) => errorsPerSecond,
  p99: ({ p99Ms }) => p99Ms ?? -1,
  memory: ({ memoryBytes }) => memoryBytes ?? -1,
  name: () => 0,
};

/** The kernel and its plugins, the greatest first. */
export function topRows(now: GetCallStatisticsResponse, looks: Looks, sort: Sort): TopRow[] {
  const rows = now.plugins.flatMap((usage) =>
    usage.plugin === undefined ? [] : [topRow(usage.plugin, usage, looks)],
  );
  const value = SORT_VALUES[sort];
  return rows.toSorted((a, b) => value(b) - value(a) || a.id.localeCompare(b.id));
}

function topRow(plugin: Plugin, { memoryBytes, queued }: PluginUsage, looks: Looks): TopRow {
  const { id, inFlight, parked, restarts } = plugin;
  return {
    id,
    state: pluginRow(plugin).state,
    ...looks.plugin(id),
    inFlight,
    waiting: parked + queued,
    memoryBytes: memoryBytes === 0n ? null : Number(memoryBytes),
    restarts,
    methods: looks.methods(id).map(([method, rates]) => ({ method, ...rates })),
  };
}

const HEAD = ['plugin', 'state', 'calls/s', 'err/s', 'p50', 'p95', 'p99', 'run', 'wait', 'MiB', 'rst'];
const WIDTHS = [19, 9, 8, 6, 7, 7, 7, 4, 5, 5, 4];

/** Longest name that fits the first column; a method loses its beginning, which its plugin has too. */
const NAME = 18;

/** A table for 80 columns; times in milliseconds. */
export function topTable(rows: readonly TopRow[], withMethods: boolean): string {
  const table = new Table({
    head: HEAD,
    colWidths: WIDTHS,
    colAligns: ['left', 'left', ...HEAD.slice(2).map(() => 'right' as const)],
    style: { head: [], border: [], compact: true, 'padding-left': 0, 'padding-right': 1 },
    chars: PLAIN,
  });
  for (const row of rows) {
    const { id, state, inFlight, waiting, memoryBytes, restarts } = row;
    const memory = memoryBytes === null ? '' : String(Math.round(memoryBytes / 2 ** 20));
    const [name, condition] = [cutEnd(id), state.slice(0, 8)];
    table.push([name, condition, ...rateCells(row), inFlight, waiting, memory, restarts]);
    if (!withMethods) continue;
    for (const method of row.methods) {
      table.push([cutStart(method.method), '', ...rateCells(method), '', '', '', '']);
    }
  }
  return tableText(table);
}

function rateCells({ callsPerSecond, errorsPerSecond, p50Ms, p95Ms, p99Ms }: Rates): string[] {
  return [callsPerSecond, errorsPerSecond, p50Ms, p95Ms, p99Ms].map(short);
}

/** At most six characters. */
function short(value: number | null): string {
  if (value === null) return '-';
  if (value >= 100_000) return `${Math.round(value / 1_000)}k`;
  if (value >= 100 || value === 0) return String(Math.round(value));
  return value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

function cutEnd(name: string): string {
  return name.length > NAME ? `${name.slice(0, NAME - 1)}…` : name;
}

function cutStart(path: string): string {
  const name = `  ${path.slice(path.lastIndexOf('.') + 1)}`;
  return cutEnd(name);
}
