import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import type { Logger } from '../../sdk/index.ts';

/** Longest log line taken from a plugin, in characters; a flood must not become the kernel's memory. */
const LINE_LIMIT = 64 * 1024;

/** Passes what a plugin writes on its outputs to its log, line by line. */
export function forwardLines(outputs: readonly (Readable | null)[], log: Logger): void {
  for (const stream of outputs) {
    if (stream === null) continue;
    createInterface({ input: stream, crlfDelay: Infinity }).on('line', (line) =>
      forwardLine(line.slice(0, LINE_LIMIT), log),
    );
  }
}

/** Plugins log JSON lines; anything else is passed on as text. */
function forwardLine(line: string, log: Logger): void {
  const entry = line.startsWith('{') ? parseEntry(line) : undefined;
  if (entry === undefined) {
    if (line.trim() !== '') log.info(line);
    return;
  }
  const { level, message, time: _time, plugin: _plugin, ...fields } = entry;
  const known = level === 'debug' || level === 'warn' || level === 'error' ? level : 'info';
  log[known](typeof message === 'string' ? message : line, fields);
}

function parseEntry(line: string): Record<string, unknown> | undefined {
  try {
    return JSON.parse(line) as Record<string, unknown>;
  } catch {
    // Not JSON after all: the caller logs the line as it is.
    return undefined;
  }
}

/** Environment variables that a plugin outside the kernel's thread inherits; everything else stays with the kernel. */
const INHERITED = [
  'PATH',
  'HOME',
  'LANG',
  'LC_ALL',
  'TZ',
  'TMPDIR',
  'LD_LIBRARY_PATH',
  'NODE_EXTRA_CA_CERTS',
];

/** The part of an environment that plugins see. */
export function inheritedEnvironment(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const inherited: NodeJS.ProcessEnv = {};
  for (const name of INHERITED) {
    const value = environment[name];
    if (value !== undefined) inherited[name] = value;
  }
  return inherited;
}
