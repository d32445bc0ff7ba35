import type { Command } from 'commander';
import { PluginService } from '../../proto/gen/lamella/kernel/v1/plugin_service_pb.ts';
import { connectOptions, findKernel, withService } from './connect.ts';
import { EXIT, EXIT_HELP } from './exit-code.ts';
import type { Terminal } from './terminal.ts';

/** `lamella service-config SERVICE|--all`: how clients should retry calls of a service. */
export function addServiceConfigCommand(program: Command, terminal: Terminal): void {
  const command = program
    .command('service-config')
    .description('print the gRPC service config of a service: which methods may be retried, and how')
    .argument('[service]', 'full name of a service')
    .option('--all', 'of all services')
    .option('--json', 'print JSON on one line');
  for (const option of connectOptions()) command.addOption(option);
  command.addHelpText('after', HELP);
  command.action(async (service: string | undefined) => {
    const { all, json } = command.opts<{ all?: true; json?: true }>();
    if ((service === undefined) !== (all === true)) {
      command.error('error: name one service, or say --all', { exitCode: EXIT.usage });
    }
    const { config } = await withService(await findKernel(command, terminal), PluginService, (plugins) =>
      plugins.getServiceConfig({ service: service ?? '' }),
    );
    terminal.out(JSON.stringify(config, undefined, json === true ? undefined : 2));
  });
}

const HELP = `
Examples:
  lamella service-config lamella.data.v1.StoreService
  lamella service-config --all --json > service-config.json
${EXIT_HELP}`;
