import { createReadStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { type DescMethod, type FileRegistry, fromJsonString, type Message, toJson } from '@bufbuild/protobuf';
import { EncodingTransport, type OutgoingCall } from '../../client.ts';
import { StatusError } from '../../status-error.ts';
import type { CallHeaders } from '../../../sdk/index.ts';
import { DEFAULT_ADDRESS, localCredentials, parseAddress } from '../connect.ts';
import { CommandFailed, EXIT } from '../exit-code.ts';
import type { Terminal } from '../terminal.ts';
import type { CallCommandOptions } from './call-options.ts';
import { describe } from './describe.ts';
import { GrpcCaller, type TlsFiles } from './grpc-caller.ts';
import { DataMalformed, jsonObjects } from './json-values.ts';
import { NameNotServed, ReflectedServer } from '../../link/reflected-server.ts';
import { statusJson, statusText } from './status-text.ts';

/** One run of `lamella call`. */
export interface CallRun {
  readonly name: string | undefined;
  readonly options: CallCommandOptions;
  readonly terminal: Terminal;
  /** Ends the command as wrongly used. */
  readonly fail: (message: string) => never;
}

/** Lists, describes, or calls. @throws LINK_UNREACHABLE, CommandFailed */
export async function call(given: CallRun): Promise<void> {
  const { terminal } = given;
  const address = given.options.address ?? terminal.environment['LAMELLA_ADDRESS'] ?? DEFAULT_ADDRESS;
  const header = [...(await credentialsOf(address, terminal)), ...(given.options.header ?? [])];
  const run = { ...given, options: { ...given.options, header } };
  const { options } = run;
  const caller = await GrpcCaller.connect({ address, tls: await tlsOf(options) });
  try {
    const server = new ReflectedServer(caller, options.header);
    if (options.list === true || options.describe === true) await describe(run, server);
    else await invoke(run, server, caller);
  } catch (error) {
    if (error instanceof NameNotServed || error instanceof DataMalformed) run.fail(error.message);
    if (error instanceof StatusError) throw failed(run, error, undefined);
    throw error;
  } finally {
    caller.close();
  }
}

/** The owner's token where the address is that of his kernel; what else looks like an address is none of ours. */
async function credentialsOf(address: string, terminal: Terminal): Promise<CallHeaders> {
  try {
    return await localCredentials(parseAddress(address), terminal);
  } catch {
    return new Map();
  }
}

async function tlsOf(options: CallCommandOptions): Promise<TlsFiles | undefined> {
  if (options.tls !== true) return undefined;
  const { ca, cert, key, serverName } = options;
  const read = async (file: string | undefined): Promise<Buffer | undefined> =>
    file === undefined ? undefined : readFile(file);
  return { ca: await read(ca), certificate: await read(cert), key: await read(key), serverName };
}

async function invoke(run: CallRun, server: ReflectedServer, caller: GrpcCaller): Promise<void> {
  const { options, terminal } = run;
  const [service, methodName] = splitName(run);
  const { method, types } = await server.method(await server.serviceName(service), methodName);
  const transport = new EncodingTransport(caller.watched(watcherOf(run)));
  const started = performance.now();
  try {
    for await (const answer of transport.stream(method, requestsOf(run, method, types), outgoing(options))) {
      const json = toJson(method.output, answer, {
        registry: types,
        alwaysEmitImplicit: options.emitDefaults === true,
      });
      const isForPeople = terminal.isInteractive && options.json !== true;
      terminal.out(JSON.stringify(json, undefined, isForPeople ? 2 : undefined));
    }
  } catch (error) {
    if (error instanceof StatusError) throw failed(run, error, types);
    throw error;
  } finally {
    if (options.verbose === true) terminal.err(`${(performance.now() - started).toFixed(1)} ms`);
  }
}

/** `package.Service/Method`, and `package.Service.Method` as some tools write it. */
function splitName({ name = '', fail }: CallRun): readonly [service: string, method: string] {
  const trimmed = name.replace(/^\//, '');
  const at = trimmed.includes('/') ? trimmed.indexOf('/') : trimmed.lastIndexOf('.');
  if (at < 1 || at === trimmed.length - 1) return fail(`'${name}' is not SERVICE/METHOD.`);
  return [trimmed.slice(0, at), trimmed.slice(at + 1)];
}

function outgoing({ deadline, header = [] }: CallCommandOptions): OutgoingCall {
  const deadlineMs = deadline === undefined ? undefined : Date.now() + deadline;
  return { headers: new Map(header), deadlineMs, signal: undefined, requestId: undefined };
}

/** The requests as they come; a method that takes exactly one gets an empty one where there is no data. */
async function* requestsOf(run: CallRun, method: DescMethod, types: FileRegistry): AsyncGenerator<Message> {
  const takesOne = method.methodKind === 'unary' || method.methodKind === 'server_streaming';
  let sent = 0;
  for await (const text of jsonObjects(dataOf(run))) {
    sent += 1;
    if (takesOne && sent > 1) run.fail(`${method.name} takes one request; the data holds more.`);
    yield parse(run, { method, types, text });
  }
  if (takesOne && sent === 0) yield parse(run, { method, types, text: '{}' });
}

interface RequestText {
  readonly method: DescMethod;
  readonly types: FileRegistry;
  readonly text: string;
}

function parse({ fail }: CallRun, { method, types, text }: RequestText): Message {
  try {
    return fromJsonString(method.input, text, { registry: types });
  } catch (error) {
    return fail(`The data is no ${method.input.typeName}: ${(error as Error).message}.`);
  }
}

async function* dataOf({ options: { data }, terminal, fail }: CallRun): AsyncGenerator<string | Uint8Array> {
  if (data === undefined) return;
  if (data === '-' || data === '@-' || data === '@') yield* terminal.input ?? [];
  else if (data.startsWith('@')) {
    try {
      yield* createReadStream(data.slice(1)) as AsyncIterable<Uint8Array>;
    } catch (error) {
      fail(`${data.slice(1)} cannot be read: ${(error as Error).message}`);
    }
  } else yield data;
}

function watcherOf({ options, terminal }: CallRun): Parameters<GrpcCaller['watched']>[0] {
  if (options.verbose !== true) return {};
  const show =
    (kind: string) =>
    (lines: Iterable<readonly [string, string | Uint8Array]>): void => {
      for (const [name, value] of lines) {
        terminal.err(
          `${kind} ${name}: ${typeof value === 'string' ? value : Buffer.from(value).toString('base64')}`,
        );
      }
    };
  return { onHeaders: show('header'), onTrailers: show('trailer') };
}

/** Shows how a call failed; the exit code says it again. */
function failed(
  { options, terminal }: CallRun,
  error: StatusError,
  types: FileRegistry | undefined,
): CommandFailed {
  terminal.err(options.json === true ? JSON.stringify(statusJson(error, types)) : statusText(error, types));
  return new CommandFailed(EXIT.status + error.code);
}
