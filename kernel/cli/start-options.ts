import { InvalidArgumentError, Option } from 'commander';
import type { DigitsArchitecture } from '../../examples/digits/digits-recipe.ts';
import { LOG_LEVELS, type LogLevel } from '../logger.ts';

/** Options of `lamella start` as commander gives them. */
export interface StartOptions {
  readonly example?: 'digits';
  readonly architecture: DigitsArchitecture;
  readonly home?: string;
  readonly host: string;
  readonly grpcPort: number;
  readonly httpPort: number;
  readonly metricsPort: number;
  readonly readyFile?: string;
  readonly watch?: true;
  readonly plugins?: readonly string[];
  readonly logLevel?: LogLevel;
}

/** Reads a port; 0 takes a free one. @throws InvalidArgumentError */
export function parsePort(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  if (!(port <= 65_535))
    throw new InvalidArgumentError('It must be a number from 0 to 65535; 0 takes a free port.');
  return port;
}

/** What the example trains. */
export function architectureOption(): Option {
  return new Option(
    '--architecture <name>',
    'what the example trains: cnn is better, and takes half a minute',
  )
    .choices(['linear', 'cnn'])
    .default('linear');
}

/** Every option of `lamella start`; the ports are Triton's, so that its clients need no setting. */
export function startOptions(): Option[] {
  return [
    new Option('--example <name>', 'build an example first, if it is not there yet').choices(['digits']),
    architectureOption(),
    new Option('--home <dir>', 'folder for all that is kept (default: LAMELLA_HOME or ./.lamella)'),
    new Option('--host <address>', 'address to listen on; other than the loopback needs credentials').default(
      '127.0.0.1',
    ),
    new Option('--grpc-port <port>', 'port of the gRPC listener').default(8001).argParser(parsePort),
    new Option('--http-port <port>', 'port of the HTTP listener').default(8000).argParser(parsePort),
    new Option('--metrics-port <port>', 'port of the metrics').default(8002).argParser(parsePort),
    new Option('--ready-file <file>', 'write {grpc, http, metrics, pid} as JSON when ready'),
    new Option('--watch', 'reload a plugin when its files change'),
    new Option('--plugins <dir...>', 'folders of plugins to load instead of those that come with Lamella'),
    new Option(
      '--log-level <level>',
      'lowest level written to stderr (default: info, with --example warn)',
    ).choices(LOG_LEVELS),
  ];
}
