import type { DescMethod } from '@bufbuild/protobuf';
import type { KernelConfig } from '../config-schema.ts';
import type { KernelParts } from '../container.ts';
import { isLoopbackAddress } from '../access/loopback.ts';
import { KERNEL_ID } from '../builtin.ts';
import type { Exposure } from '../loader/routes.ts';
import { withDefaultGrpcLimits } from './connection-guard.ts';
import { type ConnectionAge, GrpcServer, type Transport } from './grpc-server.ts';
import { HttpListener } from './http-listener.ts';
import { Certificates } from './certificates.ts';
import { createHttpAdmission } from './http-admission.ts';
import type { HttpExchange } from './http-exchange.ts';
import { createHttpCounter } from './http-metrics.ts';
import type { MountHandler } from './http-mounts.ts';
import { PROBES_PREFIX } from './http-probes.ts';
import { createMetricsListener } from './metrics-listener.ts';

/** What the listeners need of the kernel. */
export interface ListenerParts extends KernelParts {
  readonly host: string;
  /** Socket for plugin processes. */
  readonly kernelSocket: string;
  readonly config: Omit<KernelConfig, 'plugins'>;
  /** Answers `/healthz/live` and `/healthz/ready`. */
  readonly probes: MountHandler;
}

/** Ports of the three listeners; 0 takes a free one. */
export interface ListenerPorts {
  readonly grpc: number;
  readonly http: number;
  readonly metrics: number;
}

/** Where the listeners listen, each as `host:port`. */
export interface ListenerAddresses {
  readonly grpc: string;
  readonly http: string;
  readonly metrics: string;
  readonly isTls: boolean;
}

/** The doors of the kernel: gRPC, HTTP, metrics, and the socket for its own plugin processes. */
export class Listeners implements Exposure {
  readonly #parts: ListenerParts;
  readonly #grpc: Transport;
  /** A server of its own for plugins: their connections live as long as they do. */
  readonly #socket: Transport;
  #http: HttpListener | undefined;
  #metrics: HttpListener | undefined;
  #certificates: Certificates | undefined;
  readonly #mounts: Map<string, { handler: MountHandler; owner: string; close: (() => void) | undefined }> =
    new Map();

  constructor(parts: ListenerParts) {
    this.#parts = parts;
    const { dispatcher, registrations, config, log } = parts;
    const common = {
      target: dispatcher,
      maxMessageBytes: config.maxMessageBytes,
      log,
      identify: (token: string | undefined) =>
        token === undefined ? undefined : registrations.find(token)?.manifest.id,
    };
    const { maxStreams, maxIdleMs: idleTimeoutMs } = config.connections;
    const limits = withDefaultGrpcLimits({ maxStreams, idleTimeoutMs });
    const overloads = parts.metrics.kernel.counter({
      name: 'lamella_grpc_overload_refusals_total',
      help: 'Calls refused because more came at once than could be begun in time.',
    });
    const onOverload = (): void => overloads.add(1);
    this.#grpc = new GrpcServer({ ...common, limits, age: ageOf(parts), onOverload });
    this.#socket = new GrpcServer(common);
  }

  async listen(ports: ListenerPorts): Promise<ListenerAddresses> {
    const { host, kernelSocket, log, metrics, config, observers, probes } = this.#parts;
    await this.#socket.listenUnix(kernelSocket);
    const certificates = config.tls === undefined ? undefined : await Certificates.open(config.tls, log);
    this.#certificates = certificates;
    const grpc = await this.#grpc.listen(host, ports.grpc, certificates);
    const { allowedHosts, allowedOrigins, maxHttpBodyBytes: maxBodyBytes } = config;
    const hosts = allowedHosts === undefined ? {} : { allowedHosts };
    const admit = createHttpAdmission(this.#parts.gate);
    const common = { host, log, admit, certificates, ...hosts };
    const limits = { maxBodyBytes };
    const count = createHttpCounter(metrics.kernel);
    const observe = (exchange: HttpExchange): void => {
      count(exchange);
      observers.exchange(exchange);
    };
    const own = {
      name: 'http',
      port: ports.http,
      limits,
      allowedOrigins,
      observe,
      interceptors: [observers.httpInterceptor()],
    };
    this.#http = new HttpListener({ ...common, ...own });
    this.#http.mount(PROBES_PREFIX, probes, KERNEL_ID);
    for (const [prefix, mount] of this.#mounts) this.#open(prefix, mount);
    const http = await this.#http.listen();
    this.#metrics = createMetricsListener({ ...common, port: ports.metrics, metrics, probes });
    const metricsAddress = await this.#metrics.listen();
    return { grpc, http: join(http), metrics: join(metricsAddress), isTls: certificates !== undefined };
  }

  expose(path: string, kind: DescMethod['methodKind']): void {
    for (const server of [this.#grpc, this.#socket]) server.expose(path, kind);
  }

  hide(path: string): void {
    for (const server of [this.#grpc, this.#socket]) server.hide(path);
  }

  mount(prefix: string, handler: MountHandler, owner: string): () => void {
    const mount = { handler, owner, close: undefined };
    this.#mounts.set(prefix, mount);
    this.#open(prefix, mount);
    return () => {
      this.#mounts.get(prefix)?.close?.();
      this.#mounts.delete(prefix);
    };
  }

  #open(
    prefix: string,
    mount: { handler: MountHandler; owner: string; close: (() => void) | undefined },
  ): void {
    const opened = this.#http?.mount(prefix, mount.handler, mount.owner);
    if (opened !== undefined) mount.close = () => void opened.close();
  }

  /** Refuses new calls and lets running ones end for the time given. */
  async close(drainMs: number): Promise<void> {
    this.#certificates?.close();
    const servers = [this.#grpc, this.#socket];
    await Promise.all([...servers.map((server) => server.close(drainMs)), this.#http?.close(drainMs)]);
    // Whoever watches sees the drain to its end.
    await this.#metrics?.close();
  }
}

/** Balancers of connections reach new nodes only when clients connect anew; on the loopback there is nothing to balance. */
const MAX_AGE_MS = 300_000;

function ageOf({ host, config }: ListenerParts): ConnectionAge | undefined {
  const { maxAgeMs = isLoopbackAddress(host) ? 0 : MAX_AGE_MS, maxAgeGraceMs } = config.connections;
  return maxAgeMs === 0 ? undefined : { maxMs: maxAgeMs, graceMs: maxAgeGraceMs };
}

function join({ host, port }: { host: string; port: number }): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}
