import { type Command, InvalidArgumentError, Option } from 'commander';
import { connectOptions } from '../connect.ts';
import { EXIT, EXIT_HELP } from '../exit-code.ts';
import type { Terminal } from '../terminal.ts';

/** Targets that come with Lamella; the kernel has the last word. */
const TARGETS: readonly string[] = ['local', 'docker', 'kubernetes', 'helm', 'kserve', 'edge'];

/** Options of `lamella deploy` as commander gives them. */
export interface DeployOptions {
  readonly target: string;
  readonly spec?: string;
  readonly option: Readonly<Record<string, DeployOptionValue>>;
  readonly dryRun?: true;
  readonly diff?: true;
  readonly apply?: true;
  readonly output?: string;
  readonly json?: true;
}

/** Value of an option of a target. */
export type DeployOptionValue = string | number | boolean;

/** `lamella deploy MODEL`: brings a registered model to where it answers. */
export function addDeployCommand(program: Command, terminal: Terminal): void {
  const command = program
    .command('deploy')
    .description('bring a registered model to where it answers: here, an image, a cluster')
    .argument('<model>', 'MODEL (its champion), MODEL@VERSION or MODEL@ALIAS')
    .addOption(new Option('--target <name>', 'where to').choices(TARGETS).default('local'))
    .option('--spec <file>', 'what shall run, YAML or JSON: the fields of DeploymentSpec')
    .option('--option <name=value>', 'option of the target; may be repeated', addOption, {})
    .option('--dry-run', 'show the files that the target would be given (default)')
    .option('--diff', 'show what would change at the target')
    .option('--apply', 'change the target and wait until the model answers there')
    .option('--output <dir>', 'write the files into this new folder instead of showing them')
    .option('--json', 'print JSON');
  for (const option of connectOptions()) command.addOption(option);
  command.addHelpText('after', HELP).action(async (model: string, options: DeployOptions) => {
    const { dryRun, diff, apply, output } = options;
    if ([dryRun, diff, apply].filter((each) => each === true).length > 1) {
      command.error('error: say one of --dry-run, --diff and --apply', { exitCode: EXIT.usage });
    }
    if (output !== undefined && (diff ?? apply) === true) {
      command.error('error: --output goes with --dry-run only', { exitCode: EXIT.usage });
    }
    // Loaded on use: other commands need neither YAML nor the messages.
    const { runDeploy } = await import('./run-deploy.ts');
    await runDeploy(command, { model, options }, terminal);
  });
}

/** @throws InvalidArgumentError */
function addOption(
  text: string,
  before: Readonly<Record<string, DeployOptionValue>>,
): Readonly<Record<string, DeployOptionValue>> {
  const [, name, value] = /^([A-Za-z][A-Za-z0-9]*)=(.*)$/s.exec(text) ?? [];
  if (name === undefined || value === undefined) throw new InvalidArgumentError('It must be NAME=VALUE.');
  return { ...before, [name]: optionValue(value) };
}

function optionValue(text: string): DeployOptionValue {
  if (text === 'true' || text === 'false') return text === 'true';
  return /^-?\d{1,15}$/.test(text) ? Number(text) : text;
}

const HELP = `
Options of each target: lamella call DeployService/ListTargets

Examples:
  lamella deploy digits --apply
  lamella deploy digits --target docker --output ./image
  lamella deploy digits@3 --target kubernetes --spec digits.yaml
  lamella deploy digits --target kubernetes --spec digits.yaml --diff
${EXIT_HELP}`;
