import { type Command, InvalidArgumentError, Option } from 'commander';
import { connectOptions } from '../connect.ts';
import { EXIT_HELP } from '../exit-code.ts';
import type { Terminal } from '../terminal.ts';
import { type Sort, SORTS } from './top-table.ts';

/** Options of `lamella top`. */
export interface TopOptions {
  readonly interval: number;
  readonly sort: Sort;
  readonly methods?: true;
  readonly once?: true;
  readonly json?: true;
}

/** Shortest and longest pause between two looks, in seconds. */
const SHORTEST = 0.2;
const LONGEST = 3_600;

/** `lamella top`: rate, errors and duration of the plugins of a running kernel, as they are. */
export function addTopCommand(program: Command, terminal: Terminal): void {
  const command = program
    .command('top')
    .description('show what the plugins of a running kernel do, again and again')
    .option('--interval <seconds>', 'time between two looks', parseInterval, 2)
    .addOption(new Option('--sort <column>', 'what comes first').choices(SORTS).default('calls'))
    .option('--methods', 'a line for each method too')
    .option('--once', 'show one interval and end')
    .option('--json', 'print JSON, one object for each interval');
  for (const option of connectOptions()) command.addOption(option);
  command.addHelpText('after', HELP).action(async (options: TopOptions) => {
    const { runTop } = await import('./top.ts');
    await runTop(command, terminal, options);
  });
}

/** @throws InvalidArgumentError */
function parseInterval(text: string): number {
  const seconds = /^\d{1,4}(?:\.\d{1,3})?$/.test(text) ? Number(text) : Number.NaN;
  if (!(seconds >= SHORTEST && seconds <= LONGEST)) {
    throw new InvalidArgumentError(`It must be a number of seconds from ${SHORTEST} to ${LONGEST}.`);
  }
  return seconds;
}

const HELP = `
Times are in milliseconds, of the calls that ended in the interval. 'run' counts
calls that run, 'wait' those that wait; 'MiB' is the memory of a process, 'rst'
restarts after a crash. Keys: q ends, s sorts by the next column, m shows methods.

Examples:
  lamella top
  lamella top --interval 10 --sort p99 --methods
  lamella top --once --json
${EXIT_HELP}`;
