import type { Command } from 'commander';
import type { DigitsArchitecture } from '../../examples/digits/digits-recipe.ts';
import { EXIT_HELP } from './exit-code.ts';
import { architectureOption } from './start-options.ts';
import type { Terminal } from './terminal.ts';

/** Options of `lamella demo` as commander gives them. */
export interface DemoOptions {
  readonly architecture: DigitsArchitecture;
  readonly json?: boolean;
}

/** `lamella demo`: the digits example from nothing to a prediction, in a folder that is removed afterwards. */
export function addDemoCommand(program: Command, terminal: Terminal): void {
  program
    .command('demo')
    .description('walk handwritten digits from collection to a prediction, then stop')
    .addOption(architectureOption())
    .option('--json', 'print one JSON object with the figures, nothing else on stdout')
    .addHelpText('after', HELP)
    .action(async (options: DemoOptions) => {
      const { demo } = await import('./demo.ts');
      await demo(options, terminal);
    });
}

const HELP = `
Examples:
  lamella demo
  lamella demo --architecture cnn --json
${EXIT_HELP}`;
