import type { Command } from 'commander';
import { findKernel } from '../connect.ts';
import { EXIT_HELP } from '../exit-code.ts';
import { placeOptions, type PlaceOptions } from '../start-options.ts';
import type { Terminal } from '../terminal.ts';

/** `lamella doctor`: what works on this machine and what does not, with what to do. */
export function addDoctorCommand(program: Command, terminal: Terminal): void {
  const command = program.command('doctor').description('check this machine and say what to repair');
  for (const option of placeOptions()) command.addOption(option);
  command
    .option('--json', 'print {ok, checks} as JSON')
    .addHelpText('after', HELP)
    .action(async (options: PlaceOptions & { readonly json?: true }) => {
      const { doctor } = await import('./doctor.ts');
      await doctor({ options, terminal, kernel: await findKernel(command, terminal) });
    });
}

const HELP = `
Looks at Node.js, the machine, the ports, the home folder and its configuration,
native packages, what ONNX Runtime can really compute on, the programs that
plugins in other languages need, and the kernel that runs. Changes nothing.

Examples:
  lamella doctor
  lamella doctor --home /var/lib/lamella --json
${EXIT_HELP}
It ends with 1 when something is 'failed'; warnings and notes are no failure.`;
