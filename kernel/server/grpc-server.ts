import { once } from 'node:events';
import net, { isIP } from 'node:net';
import tls from 'node:tls';
import type { DescMethod } from '@bufbuild/protobuf';
import type { Logger } from '../../sdk/index.ts';
import { PortInUse } from '../errors.ts';
import type { Target } from '../target.ts';
import { Deadlines } from '../wire/deadlines.ts';
import type { Certificates, TlsContext } from './certificates.ts';
import { ConnectionGuard, type GrpcLimits } from './connection-guard.ts';
import { CallQueue } from './grpc/call-queue.ts';
import { GrpcConnection } from './grpc/grpc-connection.ts';
import type { CallSurroundings, Identify } from './grpc/call-surroundings.ts';

/** A gRPC listener whose methods come and go while it serves. */
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
  /** Told of each call that is refused because there are too many; none is where there are no limits. */
  readonly onOverload?: () => void;
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

const MIB = 1024 * 1024;

/** Limits of sockets of our own plugins. */
const UNLIMITED = { maxStreams: 2 ** 31 - 1, maxUnsentBytes: Infinity };

/**
 * {@link Transport} over HTTP/2 of our own.
 *
 * @remarks Calls of methods that nobody has exposed are dispatched too: of a plugin that is on its way up nobody knows yet
 * what its methods are. Whatever kind a method has, on the wire it is messages both ways.
 */
export class GrpcServer implements Transport {
  readonly #options: GrpcServerOptions;
  readonly #surroundings: CallSurroundings;
  readonly #guard: ConnectionGuard | undefined;
  readonly #kinds: Map<string, DescMethod['methodKind']> = new Map();
  readonly #servers: net.Server[] = [];
  readonly #connections: Set<GrpcConnection> = new Set();
  /** What is connected, also before it has shown what it speaks. */
  readonly #sockets: Set<net.Socket> = new Set();
  readonly #deadlines: Deadlines = new Deadlines();

  constructor(options: GrpcServerOptions) {
    this.#options = options;
    const { target, identify, maxMessageBytes: limitBytes, log, limits } = options;
    const kindOf: CallSurroundings['kindOf'] = (path) => this.#kinds.get(path);
    this.#surroundings = {
      target,
      identify,
      kindOf,
      limitBytes,
      deadlines: this.#deadlines,
      queue: limits === undefined ? undefined : new CallQueue(),
      onOverload: options.onOverload ?? (() => undefined),
      log,
    };
    this.#guard = limits === undefined ? undefined : new ConnectionGuard(limits, log);
  }

  async listen(host: string, port: number, certificates?: Certificates): Promise<string> {
    const { limits } = this.#options;
    const server = certificates === undefined ? createPlainServer() : createTlsServer(certificates, limits);
    server.on(certificates === undefined ? 'connection' : 'secureConnection', (socket: net.Socket) =>
      this.#serve(socket, limits),
    );
    if (limits !== undefined) server.maxConnections = limits.maxConnections;
    const name = isIP(host) === 6 ? `[${host}]` : host;
    await this.#bind(server, { host, port }).catch((error: Error) => {
      throw new PortInUse({ name: 'grpc', address: `${name}:${port}` }, { cause: error });
    });
    return `${name}:${(server.address() as net.AddressInfo).port}`;
  }

  async listenUnix(socketPath: string): Promise<void> {
    const server = createPlainServer().on('connection', (socket) => this.#serve(socket, undefined));
    await this.#bind(server, { path: socketPath });
  }

  async #bind(server: net.Server, where: net.ListenOptions): Promise<void> {
    server.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
    server.listen(where);
    await once(server, 'listening');
    this.#servers.push(server);
  }

  #serve(socket: net.Socket, limits: GrpcLimits | undefined): void {
    const connection = new GrpcConnection({
      socket,
      surroundings: this.#surroundings,
      limits:
        limits === undefined
          ? UNLIMITED
          : { maxStreams: limits.maxStreams, maxUnsentBytes: limits.maxUnsentMib * MIB },
      onGone: (gone) => this.#forget(gone),
    });
    this.#connections.add(connection);
    if (limits === undefined) return;
    this.#guard?.watch(connection);
    const { age } = this.#options;
    if (age !== undefined) retireInTime(connection, socket, age);
  }

  #forget(connection: GrpcConnection): void {
    this.#connections.delete(connection);
    this.#guard?.forget(connection);
  }

  expose(path: string, kind: DescMethod['methodKind']): void {
    this.#kinds.set(path, kind);
  }

  hide(path: string): void {
    this.#kinds.delete(path);
  }

  async close(drainMs: number): Promise<void> {
    const closed = this.#servers.splice(0).map((server) => {
      const isClosed = once(server, 'close');
      server.close();
      return isClosed;
    });
    for (const { session } of this.#connections) session.finish();
    const timer = setTimeout(() => {
      for (const { session } of this.#connections) session.destroy();
      for (const socket of this.#sockets) socket.destroy();
    }, drainMs);
    await Promise.all(closed);
    clearTimeout(timer);
    this.#guard?.close();
    this.#deadlines.clear();
  }
}

function retireInTime(
  { session }: GrpcConnection,
  socket: net.Socket,
  { maxMs, graceMs }: ConnectionAge,
): void {
  const retire = (): void => {
    session.finish();
    if (graceMs !== undefined) timer = setTimeout(() => session.destroy(), graceMs).unref();
  };
  let timer = setTimeout(retire, maxMs * (0.9 + 0.2 * Math.random())).unref();
  socket.once('close', () => clearTimeout(timer));
}

function createPlainServer(): net.Server {
  return net.createServer({ noDelay: true });
}

function createTlsServer(certificates: Certificates, limits: GrpcLimits | undefined): tls.Server {
  const { asksClients, context } = certificates;
  const server = tls.createServer({
    ...secureContext(context),
    noDelay: true,
    requestCert: asksClients,
    rejectUnauthorized: asksClients,
    ALPNProtocols: ['h2'],
    ...(limits === undefined ? {} : { handshakeTimeout: limits.greetingTimeoutMs }),
  });
  certificates.onChange((next) => server.setSecureContext(secureContext(next)));
  server.on('secureConnection', (socket) => {
    if (socket.alpnProtocol !== 'h2') socket.destroy();
  });
  return server;
}

function secureContext({ cert, key, ca }: TlsContext): tls.SecureContextOptions {
  return { cert, key, ...(ca === undefined ? {} : { ca }) };
}
