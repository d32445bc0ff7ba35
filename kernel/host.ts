import type { DescService } from '@bufbuild/protobuf';
import type {
  CallTarget,
  Client,
  Clock,
  Events,
  FetchHandler,
  Host,
  Logger,
  Metrics,
  Resource,
  Secrets,
  ServiceCodecs,
  ServiceImplementation,
  Storage,
} from '../sdk/index.ts';
import type { Manifest } from '../proto/gen/lamella/kernel/v1/manifest_pb.ts';
import { ServerConnections } from './capabilities/guarded-connect.ts';
import type { PluginGuard } from './capabilities/guard.ts';
import { type ClientTransport, createClient } from './client.ts';
import { ServiceNotProvided, ServiceNotServed } from './errors.ts';
import { domainOf } from './kernel-error.ts';
import type { Disposer } from './loader/disposer.ts';
import type { Propagation } from './propagation.ts';
import { EXTENSION_HEADER } from './router.ts';
import { bindService, type BoundMethod } from './target.ts';

/** What a host object is made from; the kernel and the process runner bring different parts. */
export interface HostParts {
  /** Its capabilities are those that were granted. */
  readonly manifest: Manifest;
  readonly config: unknown;
  readonly log: Logger;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly storage: Storage;
  readonly metrics: Metrics;
  readonly events: Events;
  readonly secrets: Secrets;
  readonly guard: PluginGuard;
  readonly transport: ClientTransport;
  readonly propagation: Propagation;
  readonly disposer: Disposer;
}

/** What an instance said it serves while it started. */
export class Served {
  readonly methods: Map<string, BoundMethod> = new Map();
  readonly services: DescService[] = [];
  http: FetchHandler | undefined;
  readonly #manifest: Manifest;

  constructor(manifest: Manifest) {
    this.#manifest = manifest;
  }

  /** @throws SERVICE_NOT_PROVIDED, METHOD_NOT_IMPLEMENTED */
  add<Service extends DescService>(
    service: Service,
    implementation: ServiceImplementation<Service>,
    codecs?: ServiceCodecs<Service>,
  ): void {
    const { id, provides } = this.#manifest;
    if (!provides.some((provision) => provision.service === service.typeName)) {
      throw new ServiceNotProvided({ plugin: id, service: service.typeName });
    }
    const bound = bindService(service, { implementation, domain: domainOf(id), codecs });
    for (const [path, method] of bound) this.methods.set(path, method);
    this.services.push(service);
  }

  /** @throws SERVICE_NOT_SERVED names everything announced and not served. */
  check(): void {
    const served = new Set(this.services.map((service) => service.typeName));
    const missing = this.#manifest.provides
      .map((provision) => provision.service)
      .filter((service) => !served.has(service));
    if (missing.length > 0) {
      throw new ServiceNotServed({ plugin: this.#manifest.id, services: missing.join(', ') });
    }
  }
}

/** Makes the frozen host object of one instance. */
export function createHost(parts: HostParts, served: Served): Host {
  const { manifest, transport, disposer } = parts;
  const { guard } = parts;
  // Most plugins never leave the kernel.
  let servers: ServerConnections | undefined;
  return Object.freeze<Host>({
    pluginId: manifest.id,
    version: manifest.version,
    config: parts.config,
    log: parts.log,
    clock: parts.clock,
    signal: parts.signal,
    storage: parts.storage,
    metrics: parts.metrics,
    events: parts.events,
    secrets: parts.secrets,
    serve: (service, implementation, codecs) => served.add(service, implementation, codecs),
    serveHttp: (handler) => {
      guard.require('httpPrefix', manifest.capabilities?.httpPrefix ?? '');
      served.http = handler;
    },
    call: <Service extends DescService>(service: Service, target?: CallTarget): Client<Service> => {
      guard.require('services', service.typeName);
      const headers =
        target?.extension === undefined ? undefined : new Map([[EXTENSION_HEADER, target.extension]]);
      return createClient(service, transport, { headers, propagation: parts.propagation });
    },
    connect: (target) => (servers ??= disposer.own(new ServerConnections(parts))).connect(target),
    fetch: createLazyFetch(parts),
    own: <Owned extends Resource>(resource: Owned): Owned => disposer.own(resource),
  });
}

/** The HTTP client is loaded by the first plugin that fetches: most never do. */
function createLazyFetch(parts: HostParts): Host['fetch'] {
  let made: Promise<Host['fetch']> | undefined;
  const make = async (): Promise<Host['fetch']> => {
    const { createFetch } = await import('./capabilities/guarded-fetch.ts');
    const { fetch, close } = createFetch(parts);
    parts.disposer.own({ close });
    return fetch;
  };
  return async (input, init) => (await (made ??= make()))(input, init);
}
