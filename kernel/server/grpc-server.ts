import { isIP } from 'node:net';
import * as grpc from '@grpc/grpc-js';
import type { DescMethod } from '@bufbuild/protobuf';
import type { Logger } from '../../sdk/index.ts';
import { PortInUse } from '../errors.ts';
import type { Target } from '../target.ts';
import type { Certificates } from './certificates.ts';
import { ConnectionGuard, type GrpcLimits } from './connection-guard.ts';
import { registerMethod, registerUnknown } from './grpc-adapter.ts';
import type { Identify } from './grpc-source.ts';
import { tendStreams } from './http2-streams.ts';

/**
 * A gRPC listener whose methods come and go while it serves. grpc-js is the first implementation; whatever takes its
 * place must keep this shape.
 */
export interface Transport {
  /** @returns the address that was bound, `host:port`; plain text without certificates. */
  listen(host: string, port: number, certificates?: Certificates): Promise<string>;
  listenUnix(socketPath: string): Promise<void>;
  expose(path: string, kind: DescMethod['methodKind']): void;
  hide(path: string): void;
  /** Stops taking connections, lets calls finish for the time given, then cuts the rest. */
  close(drainMs: number): Promise<void>;
}

/** Input of {@link GrpcServer}. */
export interface GrpcServerOptions {
  readonly target: Target;
  readonly identify: Identify;
  /** Largest message taken from a client, in bytes. */
  readonly maxMessageBytes: number;
  readonly log: Logger;
  /** What clients of ports are held to; nothing by default, for servers that only the kernel reaches. */
  readonly limits?: GrpcLimits;
  /** When clients are told to connect anew; never by default. */
  readonly age?: ConnectionAge | undefined;
}

/** Age at which a connection takes no new calls, 10 % more or less so that clients do not all come back at once. */
export interface ConnectionAge {
  readonly maxMs: number;
  /** Time its calls get to end; as long as they run by default. In milliseconds. */
  readonly graceMs?: number | undefined;
}

/** Kinds of methods whose callers send one request. */
const ONE_REQUEST: ReadonlySet<DescMethod['methodKind'] | undefined> = new Set(['unary', 'server_streaming']);

/** {@link Transport} over grpc-js. */
export class GrpcServer implements Transport {
  readonly #server: grpc.Server;
  readonly #options: GrpcServerOptions;
  readonly #guard: ConnectionGuard | undefined;
  readonly #kinds: Map<string, DescMethod['methodKind']> = new Map();
  readonly #addresses: string[] = [];

  constructor(options: GrpcServerOptions) {
    this.#options = options;
    this.#server = new grpc.Server({
      'grpc.max_receive_message_length': options.maxMessageBytes,
      'grpc.max_send_message_length': -1,
      // Bookkeeping for a debugging service that the kernel does not offer.
      'grpc.enable_channelz': 0,
      ...ageOptions(options.age),
    });
    const { limits, log } = options;
    registerUnknown(this.#server, options);
    // It writes to stderr whatever header of a client it does not like.
    grpc.setLogger(toLog(log));
    const hasOneRequest = (path: string): boolean => ONE_REQUEST.has(this.#kinds.get(path));
    this.#guard = limits === undefined ? undefined : new ConnectionGuard({ limits, log, hasOneRequest });
  }

  async listen(host: string, port: number, certificates?: Certificates): Promise<string> {
    this.#guard?.prepare(this.#server);
    const name = isIP(host) === 6 ? `[${host}]` : host;
    const address = `${name}:${port}`;
    const bound = await this.#bind(address, credentialsOf(certificates)).catch((error: Error) => {
      throw new PortInUse({ name: 'grpc', address }, { cause: error });
    });
    this.#addresses.push(`${name}:${bound}`);
    return `${name}:${bound}`;
  }

  async listenUnix(socketPath: string): Promise<void> {
    await this.#bind(`unix:${socketPath}`, grpc.ServerCredentials.createInsecure());
    this.#addresses.push(`unix:${socketPath}`);
  }

  async #bind(address: string, credentials: grpc.ServerCredentials): Promise<number> {
    const port = await new Promise<number>((resolve, reject) => {
      this.#server.bindAsync(address, credentials, (error, bound) =>
        error === null ? resolve(bound) : reject(error),
      );
    });
    tendStreams(this.#server, (path) => this.#kinds.has(path));
    this.#guard?.guard(this.#server);
    return port;
  }

  expose(path: string, kind: DescMethod['methodKind']): void {
    const known = this.#kinds.get(path);
    if (known === kind) return;
    // Remove and add in one tick: a client never sees the gap.
    if (known !== undefined) this.#server.unregister(path);
    const { target, identify, log } = this.#options;
    registerMethod(this.#server, { path, kind, target, identify, log });
    this.#kinds.set(path, kind);
  }

  hide(path: string): void {
    this.#server.unregister(path);
    this.#kinds.delete(path);
  }

  async close(drainMs: number): Promise<void> {
    for (const address of this.#addresses.splice(0)) {
      // drain before unbind: after it the port is forgotten and its sessions would never be cut.
      this.#server.drain(address, drainMs);
      this.#server.unbind(address);
    }
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => this.#server.forceShutdown(), drainMs);
      this.#server.tryShutdown(() => {
        clearTimeout(timer);
        resolve();
      });
    });
    this.#guard?.close();
  }
}

function ageOptions(age: ConnectionAge | undefined): grpc.ServerOptions {
  if (age === undefined) return {};
  const grace = age.graceMs === undefined ? {} : { 'grpc.max_connection_age_grace_ms': age.graceMs };
  return { 'grpc.max_connection_age_ms': age.maxMs, ...grace };
}

function toLog(log: Logger): Partial<Console> {
  const write = (...words: readonly unknown[]): void => log.debug(words.join(' '));
  return { error: write, info: write, debug: write };
}

function credentialsOf(certificates: Certificates | undefined): grpc.ServerCredentials {
  if (certificates === undefined) return grpc.ServerCredentials.createInsecure();
  const authorities = certificates.asksClients ? certificates : null;
  // The first parameter is called an authority there and used as the identity; the second is the authority.
  return grpc.experimental.createCertificateProviderServerCredentials(
    certificates,
    authorities,
    certificates.asksClients,
  );
}
