import type { DescService } from '@bufbuild/protobuf';
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { CallHeaders, Client } from '../../sdk/index.ts';
import { isLoopbackAddress } from '../access/loopback.ts';
import { type OwnerFile, readOwnerFile } from '../access/owner-token.ts';
import { createClient, EncodingTransport } from '../client.ts';
import { LinkTransport } from '../kernel-link.ts';
import type { LinkTarget } from '../link/connection.ts';
import { LinkClient } from '../link/link-client.ts';
import type { Terminal } from './terminal.ts';

/** Where a kernel is looked for when nothing says where it is. */
export const DEFAULT_ADDRESS = '127.0.0.1:8001';

/** A gRPC listener. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

/** A kernel to call, and what to show it. */
export interface Connection {
  readonly target: LinkTarget;
  readonly headers?: CallHeaders;
}

/** Options by which a command finds its kernel. */
export interface ConnectOptions {
  readonly address?: Address;
  readonly home?: string;
}

/** Reads `host:port`; the host of an IPv6 address stands in brackets. @throws InvalidArgumentError */
export function parseAddress(text: string): Address {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:\s/]+)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (host === undefined || port < 1 || port > 65_535) {
    throw new InvalidArgumentError(`'${text}' is not host:port, for example ${DEFAULT_ADDRESS}.`);
  }
  return { host, port };
}

/** The options of every command that calls a kernel. */
export function connectOptions(): Option[] {
  return [
    new Option(
      '--address <host:port>',
      `gRPC address of the kernel (default: LAMELLA_ADDRESS, else the kernel of the home folder, else ${DEFAULT_ADDRESS})`,
    ).argParser(parseAddress),
    new Option(
      '--home <dir>',
      "home folder of the kernel, for its owner's token (default: LAMELLA_HOME or ./.lamella)",
    ),
  ];
}

/** The home folder that a command means. */
export function homeOf({ home }: ConnectOptions, terminal: Terminal): string {
  return home ?? terminal.environment['LAMELLA_HOME'] ?? '.lamella';
}

/**
 * Finds the kernel and the credentials for it: `LAMELLA_API_KEY`, or the owner's token of the home folder.
 *
 * @remarks The token goes over the kernel's own socket, or to the loopback port that the home's kernel says it has;
 * never to another machine.
 */
export async function findKernel(command: Command, terminal: Terminal): Promise<Connection> {
  const options = command.opts<ConnectOptions>();
  const key = terminal.environment['LAMELLA_API_KEY'];
  const owner = await readOwnerFile(homeOf(options, terminal));
  const address = options.address ?? addressFrom(command, terminal);
  if (address === undefined && owner !== undefined) {
    return { target: { socketPath: owner.socket }, headers: authorization(key ?? owner.token) };
  }
  const target = address ?? parseAddress(DEFAULT_ADDRESS);
  const headers = key === undefined ? ownerHeaders(owner, target) : authorization(key);
  return headers === undefined ? { target } : { target, headers };
}

/**
 * Credentials for a server of which it is not known whether it is a kernel of ours: sent to this machine only, the
 * owner's token only to the port that his kernel has.
 */
export async function localCredentials(target: Address, terminal: Terminal): Promise<CallHeaders> {
  const key = terminal.environment['LAMELLA_API_KEY'];
  if (key !== undefined && isLoopbackAddress(target.host)) return authorization(key);
  return ownerHeaders(await readOwnerFile(homeOf({}, terminal)), target) ?? new Map();
}

function ownerHeaders(owner: OwnerFile | undefined, target: Address): CallHeaders | undefined {
  return owner !== undefined && isAt(owner, target) ? authorization(owner.token) : undefined;
}

function authorization(token: string): CallHeaders {
  return new Map([['authorization', `Bearer ${token}`]]);
}

function isAt(owner: OwnerFile, { host, port }: Address): boolean {
  return isLoopbackAddress(host) && owner.grpc.endsWith(`:${port}`);
}

function addressFrom(command: Command, terminal: Terminal): Address | undefined {
  const text = terminal.environment['LAMELLA_ADDRESS'];
  try {
    return text === undefined ? undefined : parseAddress(text);
  } catch (error) {
    return command.error(`error: LAMELLA_ADDRESS: ${(error as Error).message}`);
  }
}

/** Connects, lets a function call a service and closes the connection. @throws LINK_UNREACHABLE */
export async function withService<Service extends DescService, Result>(
  where: Address | Connection,
  service: Service,
  use: (client: Client<Service>) => Promise<Result>,
): Promise<Result> {
  const { target, headers }: Connection = 'target' in where ? where : { target: where };
  const link = await LinkClient.connect(target);
  try {
    return await use(createClient(service, new EncodingTransport(new LinkTransport(link)), { headers }));
  } finally {
    await link.close();
  }
}
