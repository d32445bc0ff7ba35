import path from 'node:path';
import type { Command } from 'commander';
import { runDigitsExample } from '../../examples/digits/run-digits-example.ts';
import { createKernel, type Kernel, type KernelAddresses } from '../kernel.ts';
import { digitsTable } from './digits-table.ts';
import { EXIT_HELP } from './exit-code.ts';
import { bundledPlugins, pluginFolders } from './plugin-folders.ts';
import { ReadyFile } from './ready-file.ts';
import { StageLines } from './stage-lines.ts';
import { type StartOptions, startOptions } from './start-options.ts';
import { StopSignal } from './stop-signal.ts';
import type { Terminal } from './terminal.ts';

/** `lamella start`: a kernel that serves until it is told to stop. */
export function addStartCommand(program: Command, terminal: Terminal): void {
  const command = program.command('start').description('start a kernel with its plugins and keep serving');
  for (const option of startOptions()) command.addOption(option);
  command.addHelpText('after', HELP).action(async (options: StartOptions) => {
    await start(options, terminal);
  });
}

async function start(options: StartOptions, terminal: Terminal): Promise<void> {
  const home = options.home ?? terminal.environment['LAMELLA_HOME'] ?? '.lamella';
  const kernel = createKernel({
    home,
    grpcPort: options.grpcPort,
    httpPort: options.httpPort,
    metricsPort: options.metricsPort,
    pluginDirectories: await directories(options),
    watch: options.watch === true,
    logLevel: options.logLevel ?? (options.example === undefined ? 'info' : 'warn'),
  });
  const readyFile = new ReadyFile(options.readyFile);
  const stop = new StopSignal(terminal);
  try {
    const addresses = await kernel.start();
    try {
      await serve({ options, terminal, kernel, addresses, readyFile, stop });
    } finally {
      await readyFile.clear();
      await kernel.stop();
    }
  } finally {
    stop.close();
  }
}

interface Serving {
  readonly options: StartOptions;
  readonly terminal: Terminal;
  readonly kernel: Kernel;
  readonly addresses: KernelAddresses;
  readonly readyFile: ReadyFile;
  readonly stop: StopSignal;
}

async function serve({ options, terminal, kernel, addresses, readyFile, stop }: Serving): Promise<void> {
  try {
    if (options.example === 'digits') {
      const report = await runDigitsExample(kernel, new StageLines(terminal), { signal: stop.signal });
      if (!report.wasInPlace) terminal.out(digitsTable(report));
    }
  } catch (error) {
    // Whoever asked to stop does not want to read that the example did not finish.
    if (stop.signal.aborted) return;
    throw error;
  }
  await readyFile.write(addresses);
  terminal.out(readyText(addresses));
  await stop.received();
}

async function directories(options: StartOptions): Promise<readonly string[]> {
  if (options.plugins === undefined) return bundledPlugins({ fromSource: options.watch === true });
  const found = options.plugins.map((folder) => pluginFolders(path.resolve(folder)));
  return (await Promise.all(found)).flat();
}

/** The line that says where to go, the console's address first. */
export function readyText({ grpc, http, metrics }: KernelAddresses): string {
  return `ready: http://${http}/  grpc ${grpc}  metrics http://${metrics}/metrics`;
}

const HELP = `
Examples:
  lamella start --example digits
  lamella start --home /var/lib/lamella --ready-file /run/lamella.json
  lamella start --grpc-port 0 --plugins ./my-plugin --watch

SIGTERM and SIGINT let the calls that run finish; a second one stops at once.
${EXIT_HELP}`;
