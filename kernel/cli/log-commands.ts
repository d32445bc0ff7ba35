import { type Command, InvalidArgumentError } from 'commander';
import { type JsonObject } from '@bufbuild/protobuf';
import { timestampMs } from '@bufbuild/protobuf/wkt';
import {
  type LogEntry,
  LogLevel,
  PluginService,
} from '../../proto/gen/lamella/kernel/v1/plugin_service_pb.ts';
import { connectOptions, findKernel, withService } from './connect.ts';
import { followLogs } from './follow-logs.ts';
import { printable } from './printable.ts';
import { StopSignal } from './stop-signal.ts';
import type { Terminal } from './terminal.ts';

interface LogOptions {
  readonly follow?: true;
  readonly lines: number;
  readonly json?: true;
}

/** `lamella plugin logs` and `lamella plugin log-level`. */
export function addLogCommands(parent: Command, terminal: Terminal): void {
  const logs = parent
    .command('logs')
    .description("show a plugin's log, or that of all plugins and the kernel")
    .argument('[id]', 'plugin id')
    .option('-f, --follow', 'go on with new lines until SIGINT')
    .option('--lines <count>', 'lines from before, 1000 at most', parseCount, 100)
    .option('--json', 'print one JSON object a line');
  for (const option of connectOptions()) logs.addOption(option);
  logs.action(async (id: string | undefined, options: LogOptions) =>
    showLogs(logs, terminal, { ...options, id }),
  );
  const level = parent
    .command('log-level')
    .description("change the level of a plugin's log while it runs")
    .argument('<id>', 'plugin id')
    .argument('<level>', 'debug, info, warn, error, or default', parseLevel)
    .option('--json', 'print JSON');
  for (const option of connectOptions()) level.addOption(option);
  level.action(async (id: string, chosen: LogLevel, { json }: { readonly json?: true }) => {
    const kernel = await findKernel(level, terminal);
    await withService(kernel, PluginService, (plugins) => plugins.setLogLevel({ id, level: chosen }));
    const name = nameOf(chosen);
    terminal.out(json === true ? JSON.stringify({ id, level: name }) : `${id} logs from ${name} up.`);
  });
}

async function showLogs(
  command: Command,
  terminal: Terminal,
  { id, follow, lines, json }: LogOptions & { readonly id: string | undefined },
): Promise<void> {
  const ids = id === undefined ? [] : [id];
  const print = (entry: LogEntry): void =>
    terminal.out(json === true ? JSON.stringify(logJson(entry)) : logText(entry));
  const tail = async (
    count: number,
    show: (entry: LogEntry) => void,
    signal?: AbortSignal,
  ): Promise<void> => {
    // Found anew each time: a kernel that was started again has another socket and token.
    const kernel = await findKernel(command, terminal);
    await withService(kernel, PluginService, async (plugins) => {
      const request = { ids, lines: count, follow: signal !== undefined };
      const answers = plugins.tailLogs(request, signal === undefined ? {} : { signal });
      for await (const { entry } of answers) if (entry !== undefined) show(entry);
    });
  };
  if (follow !== true) return tail(lines, print);
  const stop = new StopSignal(terminal);
  const { signal } = stop;
  try {
    await followLogs(lines, {
      tail: (count, show) => tail(count, show, signal),
      show: print,
      terminal,
      signal,
    });
  } finally {
    stop.close();
  }
}

/** A line as scripts read it: the same keys as in the kernel's own log. */
function logJson({ time, level, pluginId, message, fields = {}, dropped }: LogEntry): JsonObject {
  return {
    time: new Date(time === undefined ? 0 : timestampMs(time)).toISOString(),
    level: nameOf(level),
    plugin: pluginId === '' ? 'kernel' : pluginId,
    message,
    fields,
    ...(dropped === 0n ? {} : { dropped: Number(dropped) }),
  };
}

function logText(entry: LogEntry): string {
  const { time, level, plugin, message, fields, dropped } = logJson(entry);
  const pairs = Object.entries(fields as JsonObject).map(
    ([key, value]) => ` ${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`,
  );
  const gap = dropped === undefined ? '' : `(${String(dropped as number)} lines were dropped here)\n`;
  const head = `${String(time as string).slice(11, 23)} ${String(level as string).padEnd(5)}`;
  return printable(`${gap}${head} ${plugin as string}: ${message as string}${pairs.join('')}`);
}

/** @throws InvalidArgumentError */
function parseCount(text: string): number {
  const count = /^\d{1,4}$/.test(text) ? Number(text) : Number.NaN;
  if (!(count <= 1_000)) throw new InvalidArgumentError('It must be a number from 0 to 1000.');
  return count;
}

const LEVELS: Readonly<Record<string, LogLevel>> = {
  debug: LogLevel.DEBUG,
  info: LogLevel.INFO,
  warn: LogLevel.WARN,
  error: LogLevel.ERROR,
  default: LogLevel.UNSPECIFIED,
};

/** @throws InvalidArgumentError */
function parseLevel(text: string): LogLevel {
  const level = LEVELS[text];
  if (level === undefined)
    throw new InvalidArgumentError(`It must be one of ${Object.keys(LEVELS).join(', ')}.`);
  return level;
}

function nameOf(level: LogLevel): string {
  return Object.keys(LEVELS).find((name) => LEVELS[name] === level) ?? 'info';
}
