import type { Command } from 'commander';
import { EXIT_HELP } from './exit-code.ts';
import { type StartOptions, startOptions } from './start-options.ts';
import type { Terminal } from './terminal.ts';

/** `lamella start`: a kernel that serves until it is told to stop. */
export function addStartCommand(program: Command, terminal: Terminal): void {
  const command = program.command('start').description('start a kernel with its plugins and keep serving');
  for (const option of startOptions()) command.addOption(option);
  command.addHelpText('after', HELP).action(async (options: StartOptions) => {
    // Loaded on use: the other commands do not need a kernel, and start twice as fast without its modules.
    const { start } = await import('./start.ts');
    await start(options, terminal);
  });
}

const HELP = `
Examples:
  lamella start --example digits
  lamella start --home /var/lib/lamella --ready-file /run/lamella.json
  lamella start --grpc-port 0 --plugins ./my-plugin --watch

SIGTERM and SIGINT let the calls that run finish; a second one stops at once.
${EXIT_HELP}`;
