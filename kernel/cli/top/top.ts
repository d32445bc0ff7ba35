import { setTimeout as wait } from 'node:timers/promises';
import type { Command } from 'commander';
import {
  type GetCallStatisticsResponse,
  PluginService,
} from '../../../proto/gen/lamella/kernel/v1/plugin_service_pb.ts';
import { findKernel, withService } from '../connect.ts';
import type { Plugins } from '../plugin-action.ts';
import { StopSignal } from '../stop-signal.ts';
import type { Terminal } from '../terminal.ts';
import { Looks } from './rates.ts';
import type { TopOptions } from './top-command.ts';
import { type Sort, SORTS, topRows, topTable } from './top-table.ts';

/** What the keys of a person have changed. */
interface View {
  sort: Sort;
  hasMethods: boolean;
}

/** Clears what was drawn and begins at the upper left again. */
const REDRAW = '\u001b[H\u001b[2J';

/** Looks at a kernel again and again until it is told to stop, and shows what happened in between. */
export async function runTop(command: Command, terminal: Terminal, options: TopOptions): Promise<void> {
  const kernel = await findKernel(command, terminal);
  const stop = new StopSignal(terminal);
  const view: View = { sort: options.sort, hasMethods: options.methods === true };
  const ended = new AbortController();
  const signal = AbortSignal.any([stop.signal, ended.signal]);
  const releaseKeys = terminal.onKey?.((key) => {
    if (key === 'q' || key === '\u0003') ended.abort();
    if (key === 's') view.sort = SORTS[(SORTS.indexOf(view.sort) + 1) % SORTS.length] ?? 'calls';
    if (key === 'm') view.hasMethods = !view.hasMethods;
  });
  try {
    await withService(kernel, PluginService, (plugins) => look(plugins, { terminal, options, view, signal }));
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    releaseKeys?.();
    stop.close();
  }
}

interface Showing {
  readonly terminal: Terminal;
  readonly options: TopOptions;
  readonly view: View;
  readonly signal: AbortSignal;
}

async function look(plugins: Plugins, { terminal, options, view, signal }: Showing): Promise<void> {
  let before = await plugins.getCallStatistics({}, { signal });
  let beforeMs = performance.now();
  for (;;) {
    await wait(options.interval * 1_000, undefined, { signal });
    const now = await plugins.getCallStatistics({}, { signal });
    const nowMs = performance.now();
    const seconds = (nowMs - beforeMs) / 1_000;
    terminal.out(shown(now, { looks: new Looks(before, now, seconds), seconds, terminal, options, view }));
    if (options.once === true) return;
    [before, beforeMs] = [now, nowMs];
  }
}

interface Shown extends Omit<Showing, 'signal'> {
  readonly looks: Looks;
  readonly seconds: number;
}

function shown(now: GetCallStatisticsResponse, { looks, seconds, terminal, options, view }: Shown): string {
  const rows = topRows(now, looks, view.sort);
  if (options.json === true) {
    return JSON.stringify({ time: new Date().toISOString(), seconds, plugins: rows });
  }
  const calls = rows.reduce((sum, { callsPerSecond }) => sum + callsPerSecond, 0);
  const head = `kernel and ${rows.length - 1} of its plugins: ${calls.toFixed(1)} calls/s in ${seconds.toFixed(1)} s, by ${view.sort}`;
  const table = topTable(rows, view.hasMethods);
  if (!terminal.isInteractive || options.once === true) return `${head}\n${table}\n`;
  return `${REDRAW}${head}; q ends\n${table}`;
}
