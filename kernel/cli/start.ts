import { runDigitsExample } from '../../examples/digits/run-digits-example.ts';
import type { TlsFiles } from '../config.ts';
import { createKernel, type Kernel, type KernelAddresses } from '../kernel.ts';
import { digitsTable } from './digits-table.ts';
import { directoriesOf } from './plugin-folders.ts';
import { ReadyFile } from './ready-file.ts';
import { StageLines } from './stage-lines.ts';
import type { StartOptions } from './start-options.ts';
import { StopSignal } from './stop-signal.ts';
import type { Terminal } from './terminal.ts';

/** Starts a kernel, builds the example if asked, and serves until a signal says to stop. */
export async function start(options: StartOptions, terminal: Terminal): Promise<void> {
  const home = options.home ?? terminal.environment['LAMELLA_HOME'] ?? '.lamella';
  const kernel = createKernel({
    home,
    host: options.host,
    tls: tlsFiles(options),
    grpcPort: options.grpcPort,
    httpPort: options.httpPort,
    metricsPort: options.metricsPort,
    pluginDirectories: await directoriesOf(options.plugins, options.watch),
    watch: options.watch === true,
    isDevelopment: options.dev === true,
    logLevel: options.logLevel ?? (options.example === undefined ? 'info' : 'warn'),
  });
  const readyFile = new ReadyFile(options.readyFile);
  const stop = new StopSignal(terminal);
  try {
    await readyFile.clearStale();
    const addresses = await kernel.start();
    try {
      await readyFile.clear();
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
      const lines = new StageLines(terminal, options.json === true ? terminal.err : terminal.out);
      const report = await runDigitsExample(kernel, lines, {
        architecture: options.architecture,
        signal: stop.signal,
      });
      if (!report.wasInPlace && options.json !== true) terminal.out(digitsTable(report));
    }
  } catch (error) {
    // Whoever asked to stop does not want to read that the example did not finish.
    if (stop.signal.aborted) return;
    throw error;
  }
  await readyFile.write(addresses);
  terminal.out(
    options.json === true ? JSON.stringify({ ...addresses, pid: process.pid }) : readyText(addresses),
  );
  await stop.received();
}

/** The line that says where to go, the console's address first. */
export function readyText({ grpc, http, metrics, isTls }: KernelAddresses): string {
  const scheme = isTls ? 'https' : 'http';
  return `ready: ${scheme}://${http}/  grpc ${grpc}  metrics ${scheme}://${metrics}/metrics`;
}

function tlsFiles({ tlsCert, tlsKey, tlsClientCa }: StartOptions): TlsFiles {
  return {
    ...(tlsCert !== undefined && { cert: tlsCert }),
    ...(tlsKey !== undefined && { key: tlsKey }),
    ...(tlsClientCa !== undefined && { clientCa: tlsClientCa }),
  };
}
