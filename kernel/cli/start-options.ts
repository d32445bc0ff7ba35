import { InvalidArgumentError, Option } from 'commander';
import type { DigitsArchitecture } from '../../examples/digits/digits-recipe.ts';
import { LOG_LEVELS, type LogLevel } from '../logger.ts';

/** Where a kernel lives and listens, as commander gives it. */
export interface PlaceOptions {
  readonly home?: string;
  readonly host: string;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly tlsClientCa?: string;
  readonly grpcPort: number;
  readonly httpPort: number;
  readonly metricsPort: number;
}

/** Options of `lamella start` as commander gives them. */
export interface StartOptions extends PlaceOptions {
  readonly example?: 'digits';
  readonly architecture: DigitsArchitecture;
  readonly readyFile?: string;
  readonly watch?: true;
  readonly json?: true;
  readonly dev?: true;
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

/** Home and ports, for every command that looks at them; each may come from the environment. */
export function placeOptions(): Option[] {
  const port = (name: string, value: number, what: string): Option =>
    new Option(`--${name}-port <port>`, `port of ${what}`)
      .default(value)
      .env(`LAMELLA_${name.toUpperCase()}_PORT`)
      .argParser(parsePort);
  return [
    new Option('--home <dir>', 'folder for all that is kept (default: LAMELLA_HOME or ./.lamella)'),
    new Option('--host <address>', 'address to listen on; other than the loopback needs credentials')
      .default('127.0.0.1')
      .env('LAMELLA_HOST'),
    port('grpc', 8001, 'the gRPC listener'),
    port('http', 8000, 'the HTTP listener'),
    port('metrics', 8002, 'the metrics'),
  ];
}

/** Every option of `lamella start`; the ports are Triton's, so that its clients need no setting. */
export function startOptions(): Option[] {
  return [
    new Option('--example <name>', 'build an example first, if it is not there yet').choices(['digits']),
    architectureOption(),
    ...placeOptions(),
    new Option('--tls-cert <file>', 'serve TLS with this certificate chain (PEM)'),
    new Option('--tls-key <file>', 'key of the certificate (PEM)'),
    new Option('--tls-client-ca <file>', 'authorities of which every client must show a certificate (PEM)'),
    new Option('--ready-file <file>', 'write {grpc, http, metrics, pid} as JSON when ready'),
    new Option('--json', 'print one line of JSON when ready, nothing else on stdout'),
    new Option('--watch', 'reload a plugin when its files change'),
    new Option('--dev', 'run plugins also when nobody vouches for them; not for what others can reach'),
    pluginsOption(),
    logLevelOption(),
  ];
}

/** Which plugins are loaded. */
export function pluginsOption(): Option {
  return new Option(
    '--plugins <dir...>',
    'folders of plugins to load instead of those that come with Lamella',
  );
}

/** What is written to stderr. */
export function logLevelOption(): Option {
  return new Option(
    '--log-level <level>',
    'lowest level written to stderr (default: info, with --example warn)',
  )
    .choices(LOG_LEVELS)
    .env('LAMELLA_LOG_LEVEL');
}
