import { InvalidArgumentError, Option } from 'commander';
import { DEFAULT_ADDRESS, parseAddress } from '../connect.ts';

/** Options of `lamella call` as commander gives them. */
export interface CallCommandOptions {
  readonly data?: string;
  readonly header?: readonly Header[];
  readonly deadline?: number;
  readonly address?: string;
  readonly tls?: true;
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly serverName?: string;
  readonly list?: true;
  readonly describe?: true;
  readonly emitDefaults?: true;
  readonly verbose?: true;
  readonly json?: true;
}

/** One line of metadata. */
export type Header = readonly [name: string, value: string | Uint8Array];

/** Every option of `lamella call`. */
export function callOptions(): Option[] {
  return [
    new Option('-d, --data <json>', 'request as JSON; @FILE reads a file, - reads stdin'),
    new Option('-H, --header <name:value>', 'metadata to send; may be given several times').argParser(
      addHeader,
    ),
    new Option('--deadline <time>', 'longest time the call may take: 500ms, 5s, 2m').argParser(parseTime),
    new Option('--address <host:port>', `server (default: LAMELLA_ADDRESS or ${DEFAULT_ADDRESS})`).argParser(
      parseTarget,
    ),
    new Option('--plaintext', 'connect without TLS; this is the default').conflicts('tls'),
    new Option('--tls', 'connect over TLS'),
    new Option('--ca <file>', 'certificates to trust instead of those of the system').implies({ tls: true }),
    new Option('--cert <file>', 'own certificate, for mutual TLS').implies({ tls: true }),
    new Option('--key <file>', 'key of the own certificate').implies({ tls: true }),
    new Option('--server-name <name>', "name in the server's certificate, if not the address's").implies({
      tls: true,
    }),
    new Option('--list', 'list the services, or the methods of the one named').conflicts([
      'describe',
      'data',
    ]),
    new Option('--describe', 'show a service, method, message or enum as proto text').conflicts('data'),
    new Option('--emit-defaults', 'print fields that have their default value too'),
    new Option('-v, --verbose', 'show metadata and duration on stderr'),
    new Option('--json', 'one JSON value a line, also at a terminal; errors as JSON on stderr'),
  ];
}

/** @throws InvalidArgumentError */
function addHeader(text: string, before: readonly Header[] = []): readonly Header[] {
  const match = /^([\w.-]+)\s*:\s*(.*)$/s.exec(text);
  const name = match?.[1]?.toLowerCase();
  if (name === undefined) {
    throw new InvalidArgumentError("It must be name:value, for example 'authorization: Bearer TOKEN'.");
  }
  const value = match?.[2] ?? '';
  return [...before, [name, name.endsWith('-bin') ? Buffer.from(value, 'base64') : value]];
}

const UNITS_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

/** @throws InvalidArgumentError */
function parseTime(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h)?$/.exec(text);
  const timeMs = Number(match?.[1]) * (UNITS_MS[match?.[2] ?? 's'] ?? Number.NaN);
  if (!(timeMs > 0)) throw new InvalidArgumentError('It must be a time such as 500ms, 5s or 2m.');
  return timeMs;
}

/** @throws InvalidArgumentError */
function parseTarget(text: string): string {
  if (/^unix:.+/.test(text)) return text;
  const { host, port } = parseAddress(text);
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
