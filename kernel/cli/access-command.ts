import type { Command } from 'commander';
import { addAccessLogCommand } from './access-log-command.ts';
import { connectOptions } from './connect.ts';
import { wrap } from './error-text.ts';
import { EXIT_HELP } from './exit-code.ts';
import type { Terminal } from './terminal.ts';
import { withAccess } from './with-access.ts';

interface ExplainOptions {
  readonly as: string;
  readonly json?: true;
}

/** `lamella access`: how a call would be decided and why, and calls as they end. */
export function addAccessCommand(program: Command, terminal: Terminal): void {
  const access = program.command('access').description('show how access is decided, and who calls what');
  const command = access
    .command('explain')
    .description('say whether a caller may make a call, by which rule, and where the rule stands')
    .argument('<operation>', 'service/Method, or "http:METHOD /path"')
    .requiredOption('--as <caller>', 'anonymous, owner, key:NAME, role:NAME or peer:spiffe://…')
    .option('--json', 'print JSON');
  for (const option of connectOptions()) command.addOption(option);
  command.action(async (operation: string) => {
    const { as: principal, json } = command.opts<ExplainOptions>();
    const { $typeName: _type, ...answer } = await withAccess(command, terminal, (client) =>
      client.explainAccess({ principal, operation }),
    );
    terminal.out(json === true ? JSON.stringify(answer, undefined, 2) : wrap(answer.sentence));
  });
  addAccessLogCommand(access, terminal);
  access.addHelpText('after', HELP);
}

const HELP = `
Examples:
  lamella access explain --as anonymous lamella.kernel.v1.PluginService/LoadPlugin
  lamella access explain --as key:ci "http:POST /v2/models/digits/infer" --json
  lamella access log --failed
${EXIT_HELP}`;
