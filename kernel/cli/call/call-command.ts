import type { Command } from 'commander';
import { EXIT_HELP } from '../exit-code.ts';
import type { Terminal } from '../terminal.ts';
import { type CallCommandOptions, callOptions } from './call-options.ts';

/** `lamella call`: any method of any server that offers reflection, with JSON in and out. */
export function addCallCommand(program: Command, terminal: Terminal): void {
  const command = program
    .command('call')
    .description('call a method of this or any gRPC server, by reflection')
    .argument('[method]', 'SERVICE/METHOD; the last part of a service name is enough');
  for (const option of callOptions()) command.addOption(option);
  command.addHelpText('after', HELP).action(async (name: string | undefined, options: CallCommandOptions) => {
    if (name === undefined && options.list !== true) {
      command.error("error: name a method, such as 'echo.v1.EchoService/Say'; --list shows the services");
    }
    // Loaded on use: the other commands start faster without grpc-js.
    const { call } = await import('./call.ts');
    await call({ name, options, terminal, fail: (message) => command.error(`error: ${message}`) });
  });
}

const HELP = `
Data is one JSON object, or for methods that take a stream several, one after
another; what comes from stdin is sent as it comes. Answers are one JSON object
a line, indented for people at a terminal.

Examples:
  lamella call --list
  lamella call --describe echo.v1.EchoService/Say
  lamella call EchoService/Say -d '{"payload": "aGVsbG8="}' --deadline 2s
  lamella call EchoService/Chat -d - < requests.jsonl
  lamella call --tls --address api.example:443 -H 'x-key: 1' shop.v1.Shop/Get
${EXIT_HELP}
A call that ends with gRPC status N exits with 64 + N.`;
