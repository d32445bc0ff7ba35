import type { Command } from 'commander';
import { PluginService } from '../../proto/gen/lamella/kernel/v1/plugin_service_pb.ts';
import type { Candidate } from './completion-command.ts';
import { findKernel, parseAddress, withService } from './connect.ts';
import { pluginRow } from './plugin-table.ts';
import type { Terminal } from './terminal.ts';

/** Longest wait for the kernel: somebody has pressed the tabulator key. */
const LIMIT_MS = 1_000;

/** Ids of the plugins that run, where a command wants one as its first argument. No kernel, no ids. */
export async function pluginIds(
  program: Command,
  words: readonly string[],
  terminal: Terminal,
): Promise<readonly Candidate[]> {
  const unfinished = words.at(-1) ?? '';
  const command = wantsId(program, words);
  if (command === undefined || unfinished.startsWith('-')) return [];
  try {
    const kernel = await findKernel(command, terminal);
    const { plugins } = await withService(kernel, PluginService, (service) =>
      service.listPlugins({ pageSize: 1_000 }, { timeoutMs: LIMIT_MS }),
    );
    return plugins
      .filter(({ id }) => id.startsWith(unfinished))
      .map((plugin) => ({ word: plugin.id, text: pluginRow(plugin).state }));
  } catch {
    // A shell that completes is no place for an error.
    return [];
  }
}

/** The command whose first argument is a plugin id and stands where the last word stands, with its options read. */
function wantsId(program: Command, words: readonly string[]): Command | undefined {
  let command = program;
  const rest = words.slice(0, -1);
  for (let next = rest[0]; next !== undefined; next = rest[0]) {
    const found = command.commands.find((each) => each.name() === next);
    if (found === undefined) break;
    command = found;
    rest.shift();
  }
  while (rest[0]?.startsWith('-') === true) readOption(command, rest);
  const [argument] = command.registeredArguments;
  return rest.length === 0 && argument?.name() === 'id' ? command : undefined;
}

/** Takes an option with its value from the words; those that say where the kernel is count. */
function readOption(command: Command, rest: string[]): void {
  const flag = rest.shift();
  const option = command.options.find(({ long, short }) => flag === long || flag === short);
  if (option?.required !== true) return;
  const value = rest.shift() ?? '';
  if (option.long === '--home') command.setOptionValue('home', value);
  if (option.long === '--address') command.setOptionValue('address', parseAddress(value));
}
