import { addCallCommand } from './call/call-command.ts';
import { Command, CommanderError } from 'commander';
import { KERNEL_VERSION } from '../version.ts';
import { addAccessCommand } from './access-command.ts';
import { addAlertCommand } from './alert/alert-command.ts';
import { addBalanceCommand } from './balance/balance-command.ts';
import { addCompletionCommand } from './completion-command.ts';
import { addConfigCommand } from './config/config-command.ts';
import { addDemoCommand } from './demo-command.ts';
import { addDeployCommand } from './deploy/deploy-command.ts';
import { addDoctorCommand } from './doctor/doctor-command.ts';
import { errorText, exitCodeOf } from './error-text.ts';
import { CommandFailed, EXIT, EXIT_HELP } from './exit-code.ts';
import { addKeyCommand } from './key-command.ts';
import { addEventsCommand } from './events-command.ts';
import { addPluginCommand } from './plugin-command.ts';
import { addServeCommand } from './serve/serve-command.ts';
import { addServiceConfigCommand } from './service-config-command.ts';
import { addStartCommand } from './start-command.ts';
import { addTopCommand } from './top/top-command.ts';
import { addTrustCommand } from './trust-command.ts';
import type { Terminal } from './terminal.ts';

/** Runs the command line and returns the exit code; every error becomes a sentence on stderr. */
export async function runProgram(words: readonly string[], terminal: Terminal): Promise<number> {
  try {
    await createProgram(terminal).parseAsync(words, { from: 'user' });
    return EXIT.ok;
  } catch (error) {
    // Commander has printed its own message already.
    if (error instanceof CommandFailed) return error.exitCode;
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
    terminal.err(errorText(error));
    return exitCodeOf(error);
  }
}

function createProgram(terminal: Terminal): Command {
  const program = new Command('lamella')
    .description('a gRPC microkernel for AI applications')
    .version(KERNEL_VERSION, '--version')
    .helpCommand(true)
    .showHelpAfterError('(add --help to see what is possible)')
    .showSuggestionAfterError(true)
    .configureOutput({
      writeOut: (text) => {
        terminal.out(text.trimEnd());
      },
      writeErr: (text) => {
        terminal.err(text.trimEnd());
      },
      getOutHelpWidth: () => 80,
      getErrHelpWidth: () => 80,
    })
    .exitOverride();
  addStartCommand(program, terminal);
  addPluginCommand(program, terminal);
  addTopCommand(program, terminal);
  addCallCommand(program, terminal);
  addDeployCommand(program, terminal);
  addAlertCommand(program, terminal);
  addBalanceCommand(program, terminal);
  addServeCommand(program, terminal);
  addKeyCommand(program, terminal);
  addAccessCommand(program, terminal);
  addConfigCommand(program, terminal);
  addDoctorCommand(program, terminal);
  addEventsCommand(program, terminal);
  addServiceConfigCommand(program, terminal);
  addTrustCommand(program, terminal);
  addDemoCommand(program, terminal);
  addCompletionCommand(program, terminal);
  return program.addHelpText('after', HELP);
}

const HELP = `
Examples:
  lamella start --example digits
  lamella plugin list
  lamella call echo.v1.EchoService/Say -d '{}'
  lamella doctor
${EXIT_HELP},
64 + N 'lamella call' ended with gRPC status N, 128 + N stopped by signal N`;
