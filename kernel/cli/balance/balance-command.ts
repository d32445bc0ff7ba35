import type { Command } from 'commander';
import { connectOptions } from '../connect.ts';
import { EXIT_HELP } from '../exit-code.ts';
import type { Terminal } from '../terminal.ts';
import type { BalanceAction } from './run-balance.ts';

interface BalanceOptions {
  readonly complete?: true;
  readonly reason?: string;
  readonly json?: true;
}

/** `lamella balance`: who answers the requests of which model. */
export function addBalanceCommand(program: Command, terminal: Terminal): void {
  const balance = program
    .command('balance')
    .description("divide a model's requests over versions, replicas and other servers");
  const add = (name: string, description: string): Command => {
    const command = balance.command(name).description(description).option('--json', 'print JSON');
    for (const option of connectOptions()) command.addOption(option);
    return command;
  };
  const run = async (command: Command, action: BalanceAction, options: BalanceOptions): Promise<void> => {
    // Loaded on use: other commands need neither YAML nor the messages.
    const { runBalance } = await import('./run-balance.ts');
    await runBalance(command, { ...action, isJson: options.json === true }, terminal);
  };
  const list = add('list', 'show who answers for which model, and where canaries stand');
  list.action((options: BalanceOptions) => run(list, { kind: 'list' }, options));
  const set = add('set', 'set the traffic of a model').argument('<file>', 'Traffic, YAML or JSON');
  set.action((file: string, options: BalanceOptions) => run(set, { kind: 'set', file }, options));
  const promote = add('promote', 'move a canary one step on')
    .argument('<model>', 'name of the model')
    .option('--complete', 'give it everything at once');
  promote.action((model: string, options: BalanceOptions) =>
    run(promote, { kind: 'promote', model, isComplete: options.complete === true }, options),
  );
  const rollback = add('rollback', 'give a canary no more requests')
    .argument('<model>', 'name of the model')
    .option('--reason <text>', 'why');
  rollback.action((model: string, options: BalanceOptions) =>
    run(rollback, { kind: 'rollback', model, reason: options.reason ?? '' }, options),
  );
  balance.addHelpText('after', HELP);
}

const HELP = `
Examples:
  lamella balance set digits.yaml
  lamella balance list
  lamella balance promote digits
  lamella balance rollback digits --reason 'answers are odd'
${EXIT_HELP}`;
