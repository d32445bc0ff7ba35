import type { Command } from 'commander';
import { EXIT_HELP } from './exit-code.ts';
import type { Terminal } from './terminal.ts';

/** `lamella demo`: the digits example from nothing to a prediction, in a folder that is removed afterwards. */
export function addDemoCommand(program: Command, terminal: Terminal): void {
  program
    .command('demo')
    .description('walk handwritten digits from collection to a prediction, then stop')
    .option('--json', 'print one JSON object with the figures, nothing else on stdout')
    .addHelpText('after', HELP)
    .action(async (options: { readonly json?: true }) => {
      const { demo } = await import('./demo.ts');
      await demo(options.json === true, terminal);
    });
}

const HELP = `
Examples:
  lamella demo
  lamella demo --json
${EXIT_HELP}`;
