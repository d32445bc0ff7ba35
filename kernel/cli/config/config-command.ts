import { type Command, Option } from 'commander';
import { EXIT_HELP } from '../exit-code.ts';
import { logLevelOption, placeOptions, pluginsOption, type StartOptions } from '../start-options.ts';
import type { Terminal } from '../terminal.ts';
import type { Origin } from './setting.ts';

/** Options of `lamella config …`: those of `lamella start` that choose what is configured. */
export interface ConfigOptions extends Pick<
  StartOptions,
  'home' | 'host' | 'grpcPort' | 'httpPort' | 'metricsPort' | 'plugins' | 'logLevel'
> {
  readonly json?: true;
}

/** `lamella config …`: what a kernel would run with, and whether it is in order. */
export function addConfigCommand(program: Command, terminal: Terminal): void {
  const command = program.command('config').description('show and check the configuration');
  const print = withOptions(command.command('print').description('show each value with its origin'));
  print.action(async (options: ConfigOptions) => {
    const { printConfig } = await import('./config.ts');
    await printConfig({ options, terminal, originOf: (name) => originOf(print, name) });
  });
  const check = withOptions(command.command('check').description('name everything that is wrong'));
  check.action(async (options: ConfigOptions) => {
    const { checkConfig } = await import('./config.ts');
    await checkConfig({ options, terminal, originOf: (name) => originOf(check, name) });
  });
  command.addHelpText('after', HELP);
}

function withOptions(command: Command): Command {
  for (const option of [...placeOptions(), pluginsOption(), logLevelOption()]) command.addOption(option);
  return command.addOption(new Option('--json', 'print JSON'));
}

function originOf(command: Command, name: string): Origin {
  switch (command.getOptionValueSource(name)) {
    case 'cli':
      return 'flag';
    case 'env':
      return 'environment';
    default:
      return 'default';
  }
}

const HELP = `
Values come from defaults, then config.json in the home folder, then LAMELLA_*
variables, then flags; the last one wins. Secrets are shown by the name of their
variable, never by value.

Examples:
  lamella config print
  lamella config print --home /var/lib/lamella --json
  lamella config check
${EXIT_HELP}
'config check' ends with 1 when something is wrong.`;
