import type { Command } from 'commander';
import { type ConnectOptions, findKernel, parseAddress } from './connect.ts';
import { EXIT_HELP } from './exit-code.ts';
import { parsePort } from './start-options.ts';
import type { Terminal } from './terminal.ts';

interface DevFlags extends ConnectOptions {
  readonly grpcPort: number;
  readonly httpPort: number;
}

/** `lamella plugin dev`: the loop of writing, saving and calling. */
export function addPluginDevCommand(plugin: Command, terminal: Terminal): void {
  const command = plugin
    .command('dev')
    .description('serve a plugin, and again after each save')
    .argument('<dir>', 'folder that holds plugin.json')
    .option('--address <host:port>', 'gRPC address of a kernel that runs', parseAddress)
    .option('--home <dir>', "home folder of a kernel that runs, for its owner's token")
    .option('--grpc-port <port>', 'gRPC port of its own kernel', parsePort, 8001)
    .option('--http-port <port>', 'HTTP port of its own kernel', parsePort, 8000)
    .addHelpText('after', HELP);
  command.action(async (directory: string, { address, home, grpcPort, httpPort }: DevFlags) => {
    const { developPlugin } = await import('./plugin-dev.ts');
    const isGiven = address !== undefined || home !== undefined;
    const kernel = isGiven ? await findKernel(command, terminal) : { grpcPort, httpPort };
    await developPlugin({ directory, kernel }, terminal);
  });
}

const HELP = `
Examples:
  lamella plugin dev ./word-count
  lamella plugin dev ./word-count --grpc-port 0 --http-port 0
  lamella plugin dev ./word-count --home ./.lamella

Without --address and --home it starts a kernel of its own, with nothing else in it.
What the plugin logs goes to stderr. A version that does not start is reported and
the one before it serves on. Hidden files and node_modules are not watched.
${EXIT_HELP}`;
