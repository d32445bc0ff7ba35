import { mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { create, type DescMethod, type DescService, type Message } from '@bufbuild/protobuf';
import type {
  CallContext,
  CallOptions,
  CallTarget,
  Client,
  EventMessage,
  FetchHandler,
  Host,
  Logger,
  Plugin,
  Resource,
  ServiceImplementation,
  Storage,
  StorageEntry,
} from 'lamella/sdk';

type Requests = AsyncIterable<unknown>;
type AnyMethod = (request: unknown, context: CallContext) => unknown;

/** Context of a call in a test; a given signal cancels it. */
export function fakeContext(parts: Partial<CallContext> = {}): CallContext {
  return {
    signal: new AbortController().signal,
    deadlineMs: undefined,
    requestId: 'test',
    headers: new Map(),
    responseHeaders: new Map(),
    responseTrailers: new Map(),
    peer: 'test',
    ...parts,
  };
}

/** Client that calls an implementation in this process; messages are filled in as if they had been on the wire. */
export function clientOf<Service extends DescService>(
  service: Service,
  implementation: ServiceImplementation<Service>,
): Client<Service> {
  const methods = implementation as unknown as Readonly<Record<string, AnyMethod>>;
  const entries = service.methods.map((method) => {
    const call: AnyMethod = (request, context) => {
      const implemented = methods[method.localName];
      if (implemented === undefined) throw new Error(`${method.localName} is not implemented`);
      return implemented.call(methods, request, context);
    };
    return [method.localName, callerOf(method, call)];
  });
  return Object.fromEntries(entries) as Client<Service>;
}

function callerOf(method: DescMethod, call: AnyMethod): (request: unknown, options?: CallOptions) => unknown {
  const request = (init: unknown): Message => create(method.input, init as never);
  const answer = (init: unknown): Message => create(method.output, init as never);
  async function* requests(inits: Requests): AsyncGenerator<Message> {
    for await (const init of inits) yield request(init);
  }
  const isRequestStream = method.methodKind === 'client_streaming' || method.methodKind === 'bidi_streaming';
  const start = (given: unknown, options: CallOptions | undefined): unknown => {
    const signal = options?.signal ?? options?.context?.signal;
    const context = fakeContext(signal === undefined ? {} : { signal });
    return call(isRequestStream ? requests(given as Requests) : request(given), context);
  };
  if (method.methodKind === 'unary' || method.methodKind === 'client_streaming') {
    return async (given, options) => answer(await start(given, options));
  }
  return async function* (given, options) {
    for await (const init of start(given, options) as Requests) yield answer(init);
  };
}

/** Storage in memory; values are copied on the way in and out, as on a disk. */
export class FakeStorage implements Storage {
  readonly directory: string;
  readonly #values: Map<string, unknown> = new Map();
  /** Called before each write; one that throws plays a disk that is full. */
  beforeWrite: (key: string) => void = () => undefined;

  constructor(directory: string) {
    this.directory = directory;
  }

  async get<Value = unknown>(key: string): Promise<Value | undefined> {
    return structuredClone(this.#values.get(key)) as Value | undefined;
  }

  async put(key: string, value: unknown): Promise<void> {
    this.beforeWrite(key);
    this.#values.set(key, structuredClone(value));
  }

  async delete(key: string): Promise<boolean> {
    this.beforeWrite(key);
    return this.#values.delete(key);
  }

  async *range(prefix: string): AsyncGenerator<StorageEntry> {
    const keys = [...this.#values.keys()].filter((key) => key.startsWith(prefix)).toSorted();
    for (const key of keys) yield { key, value: structuredClone(this.#values.get(key)) };
  }
}

/** One line that a plugin has logged. */
export interface LogLine {
  readonly level: keyof Logger;
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** What a fake host is told beforehand. */
export interface FakeHostOptions<Config> {
  readonly pluginId?: string;
  readonly config?: Config;
  /** Time when the clock stands still; real time without it. */
  readonly nowMs?: number;
  readonly secrets?: Readonly<Record<string, string>>;
}

/**
 * A host without a kernel: storage in memory, a temporary directory, calls routed to implementations given with
 * `provide`. Close it to release what the plugin owns.
 */
export class FakeHost<Config = unknown> implements Host<Config> {
  readonly pluginId: string;
  readonly version = '0.0.0';
  readonly config: Config;
  readonly storage: FakeStorage;
  readonly lines: LogLine[] = [];
  readonly published: { readonly topic: string; readonly payload: unknown }[] = [];
  httpHandler: FetchHandler | undefined;
  nowMs: number | undefined;
  readonly #controller: AbortController = new AbortController();
  readonly #clients: Map<string, unknown> = new Map();
  readonly #served: Map<string, unknown> = new Map();
  readonly #owned: Resource[] = [];
  readonly #secrets: Readonly<Record<string, string>>;

  constructor(options: FakeHostOptions<Config> = {}) {
    this.pluginId = options.pluginId ?? 'test.plugin';
    this.config = (options.config ?? {}) as Config;
    this.nowMs = options.nowMs;
    this.#secrets = options.secrets ?? {};
    this.storage = new FakeStorage(mkdtempSync(path.join(tmpdir(), 'lamella-host-')));
  }

  readonly clock: Host['clock'] = { now: () => this.nowMs ?? Date.now() };
  readonly signal: AbortSignal = this.#controller.signal;
  readonly log: Logger = {
    debug: (message, fields = {}) => void this.lines.push({ level: 'debug', message, fields }),
    info: (message, fields = {}) => void this.lines.push({ level: 'info', message, fields }),
    warn: (message, fields = {}) => void this.lines.push({ level: 'warn', message, fields }),
    error: (message, fields = {}) => void this.lines.push({ level: 'error', message, fields }),
  };
  readonly metrics: Host['metrics'] = {
    counter: () => ({ add: () => undefined, series: () => ({ add: () => undefined }) }),
    gauge: () => ({ set: () => undefined, series: () => ({ set: () => undefined }) }),
    histogram: () => ({ observe: () => undefined, series: () => ({ observe: () => undefined }) }),
    exposition: async () => '',
  };
  readonly events: Host['events'] = {
    publish: async (topic, payload) => void this.published.push({ topic, payload }),
    async *subscribe(): AsyncGenerator<EventMessage> {},
  };
  readonly fetch: Host['fetch'] = () => Promise.reject(new Error('nothing is granted'));
  readonly connect: Host['connect'] = () => {
    throw new Error('nothing is granted');
  };
  readonly secrets: Host['secrets'] = {
    get: (name) => {
      const value = this.#secrets[name];
      if (value === undefined) throw new Error(`secret '${name}' is not granted`);
      return value;
    },
  };

  /** Makes `call(service)` reach this implementation. */
  provide<Service extends DescService>(
    service: Service,
    implementation: ServiceImplementation<Service>,
    target: CallTarget = {},
  ): this {
    this.#clients.set(routeOf(service, target), clientOf(service, implementation));
    return this;
  }

  call<Service extends DescService>(service: Service, target: CallTarget = {}): Client<Service> {
    const client = this.#clients.get(routeOf(service, target));
    if (client === undefined) throw new Error(`nobody provides ${routeOf(service, target)}`);
    return client as Client<Service>;
  }

  serve<Service extends DescService>(service: Service, implementation: ServiceImplementation<Service>): void {
    this.#served.set(service.typeName, implementation);
  }

  serveHttp(handler: FetchHandler): void {
    this.httpHandler = handler;
  }

  own<Owned extends Resource>(resource: Owned): Owned {
    this.#owned.push(resource);
    return resource;
  }

  /** Starts a plugin in this host. */
  async start(plugin: Plugin<Config>): Promise<this> {
    await plugin.start(this);
    return this;
  }

  /** Implementation that the plugin serves. */
  implementation<Service extends DescService>(service: Service): ServiceImplementation<Service> {
    const implementation = this.#served.get(service.typeName);
    if (implementation === undefined) throw new Error(`${service.typeName} is not served`);
    return implementation as ServiceImplementation<Service>;
  }

  /** Client of a service that the plugin serves. */
  client<Service extends DescService>(service: Service): Client<Service> {
    return clientOf(service, this.implementation(service));
  }

  /** Stops the instance: signal, owned resources last first, temporary directory. */
  async close(): Promise<void> {
    this.#controller.abort();
    for (const resource of this.#owned.splice(0).toReversed()) {
      if ('close' in resource) await resource.close();
      else if (Symbol.asyncDispose in resource) await resource[Symbol.asyncDispose]();
      else resource[Symbol.dispose]();
    }
    await rm(this.storage.directory, { recursive: true, force: true });
  }
}

function routeOf(service: DescService, { extension }: CallTarget): string {
  return extension === undefined ? service.typeName : `${service.typeName}/${extension}`;
}
