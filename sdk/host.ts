import type { DescService } from '@bufbuild/protobuf';
import type { CallHeaders, CallSpan, Client, ServiceCodecs, ServiceImplementation } from './service.ts';

/** Something that must be released when an instance stops. */
export type Resource =
  | { close(): void | Promise<void> }
  | { [Symbol.asyncDispose](): PromiseLike<void> }
  | { [Symbol.dispose](): void };

/** Structured log of one plugin; fields named like a secret are redacted. */
export interface Logger {
  /** For developers; off by default. */
  debug(message: string, fields?: Readonly<Record<string, unknown>>): void;
  /** Normal events an operator wants to see. */
  info(message: string, fields?: Readonly<Record<string, unknown>>): void;
  /** Something unexpected that was dealt with. */
  warn(message: string, fields?: Readonly<Record<string, unknown>>): void;
  /** Something failed; put the error under `error`. */
  error(message: string, fields?: Readonly<Record<string, unknown>>): void;
}

/** Time, so that tests can stop it. */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
}

/** A key and its value as {@link Storage.range} gives them. */
export interface StorageEntry {
  /** Full key. */
  readonly key: string;
  /** Stored value. */
  readonly value: unknown;
}

/**
 * Durable storage of one plugin, kept over reloads, upgrades and restarts.
 *
 * @remarks Values are structured data (plain objects, arrays, strings, numbers, booleans, bigint, `Uint8Array`).
 * A promise of `put` or `delete` resolves when the change would survive a kill of the process.
 */
export interface Storage {
  /** Folder for the plugin's own files; it exists. */
  readonly directory: string;
  /** Reads one value; `undefined` when there is none. */
  get<Value = unknown>(key: string): Promise<Value | undefined>;
  /** Writes one value. Keys have 1 to 1,000 bytes. */
  put(key: string, value: unknown): Promise<void>;
  /** Removes one key; tells whether it was there. */
  delete(key: string): Promise<boolean>;
  /** Lists entries whose key starts with the prefix, in key order. */
  range(prefix: string): AsyncIterable<StorageEntry>;
}

/** Label values of one sample. */
export type Labels = Readonly<Record<string, string>>;

/** One series of a counter. */
export interface CounterSeries {
  /** Adds `amount` (default 1, never negative). */
  add(amount?: number): void;
}

/** One series of a gauge. */
export interface GaugeSeries {
  /** Sets the value. */
  set(value: number): void;
}

/** One series of a histogram. */
export interface HistogramSeries {
  /** Records one value. */
  observe(value: number): void;
}

/** Counts up. */
export interface Counter {
  /** Adds `amount` (default 1, never negative). */
  add(amount?: number, labels?: Labels): void;
  /** The series of these labels, looked up once: for what is counted with every request. */
  series(labels: Labels): CounterSeries;
}

/** Goes up and down. */
export interface Gauge {
  /** Sets the value. */
  set(value: number, labels?: Labels): void;
  /** The series of these labels, looked up once. */
  series(labels: Labels): GaugeSeries;
}

/** Distribution of observed values. */
export interface Histogram {
  /** Records one value. */
  observe(value: number, labels?: Labels): void;
  /** The series of these labels, looked up once. */
  series(labels: Labels): HistogramSeries;
}

/** How a metric is declared. */
export interface MetricOptions {
  /** Full metric name, for example `nv_inference_count`. */
  readonly name: string;
  /** One sentence for people who read the exposition. */
  readonly help: string;
  /** Names of all labels that samples may carry. */
  readonly labels?: readonly string[];
}

/** Metrics of one plugin, shown on the metrics port; removed when the plugin stops. */
export interface Metrics {
  /** Declares a counter, or returns the one declared before. */
  counter(options: MetricOptions): Counter;
  /** Declares a gauge. */
  gauge(options: MetricOptions): Gauge;
  /** Declares a histogram with upper bucket bounds in ascending order. */
  histogram(options: MetricOptions & { readonly buckets: readonly number[] }): Histogram;
  /** All metrics of the kernel and of every plugin in Prometheus text format. */
  exposition(): Promise<string>;
}

/** A message on a topic. */
export interface EventMessage {
  /** Topic name. */
  readonly topic: string;
  /** Structured payload: plain JSON, frozen. */
  readonly payload: unknown;
  /** Publication time, milliseconds since the epoch. */
  readonly timeMs: number;
  /** Id of the plugin that published it, or address of the caller. */
  readonly source: string;
  /** Number within the topic, from 1; goes on over a restart for durable topics only. */
  readonly sequence: number;
  /** Messages that this subscriber missed right before this one: it was too slow, or they are no longer kept. */
  readonly dropped: number;
}

/** Options of {@link Events.subscribe}. */
export interface EventSubscription {
  /**
   * First message wanted of a durable topic, by number: 1 is the oldest that is kept, the last one received plus 1
   * resumes. Such a subscriber misses nothing by being slow. Without it only new messages come.
   */
  readonly fromSequence?: number;
}

/** Topics between plugins of one kernel and its clients. */
export interface Events {
  /**
   * Publishes to a topic that the manifest declares under `topics` or names in its capabilities.
   *
   * @remarks Resolves when the kernel has taken the message; on a durable topic it would then survive a kill. The payload
   * is JSON, 1 MiB at most.
   * @throws CAPABILITY_DENIED, EVENT_INVALID, EVENT_TOO_LARGE, STORAGE_FAILED
   */
  publish(topic: string, payload: unknown): Promise<void>;
  /**
   * Receives messages from this moment on, until the iterator is closed or the instance stops; a trailing `*` takes in
   * all topics that begin so. The buffer is bounded (1,000 messages, 16 MiB) and drops the oldest.
   *
   * @throws CAPABILITY_DENIED, TOPIC_INVALID, TOPIC_NOT_DURABLE; some of them when the first message is asked for
   */
  subscribe(topic: string, options?: EventSubscription): AsyncIterable<EventMessage>;
}

/** Secrets the operator granted, by reference. */
export interface Secrets {
  /** The value of a granted secret. @throws CAPABILITY_DENIED, SECRET_MISSING */
  get(name: string): string;
}

/** Options of `host.call`. */
export interface CallTarget {
  /** Which implementation of an extension point is meant, for example `lmdb` for a store driver. */
  readonly extension?: string;
}

/** Files for a connection under TLS, in PEM; `capabilities.files` must allow to read them. */
export interface ServerTls {
  /** Certificates of those who may sign the server's; the system's by default. */
  readonly caFile?: string | undefined;
  /** Own certificate, for servers that ask who calls. */
  readonly certificateFile?: string | undefined;
  /** Key of the own certificate. */
  readonly keyFile?: string | undefined;
  /** Name that the server's certificate must carry; the host by default. */
  readonly serverName?: string | undefined;
}

/** A gRPC server outside the kernel. */
export interface ServerTarget {
  /** `host:port`; the host of an IPv6 address stands in brackets. */
  readonly address: string;
  /** TLS; beyond this machine it is needed unless `plaintext` says otherwise. */
  readonly tls?: ServerTls | undefined;
  /** True when something else protects the connection, a mesh for example. */
  readonly plaintext?: boolean;
  /** Metadata of every call, a token for example. */
  readonly headers?: CallHeaders;
}

/** A connection to a gRPC server; it is opened by the first call, and again by the next one after it was lost. */
export interface ServerConnection {
  /** Client of a service of that server. What the server answers without a reason of ours is an error with its `code`. */
  call<Service extends DescService>(service: Service): Client<Service>;
  /** Ends the connection and the calls on it. */
  close(): Promise<void>;
}

/** A web-standard HTTP handler, mounted under the manifest's `httpPrefix`. */
export type FetchHandler = (request: Request, context: HttpContext) => Response | Promise<Response>;

/** What an HTTP handler knows of its request beside the request itself. */
export interface HttpContext {
  /** Aborted when the client goes away or the instance stops. */
  readonly signal: AbortSignal;
  /** Address of the client. */
  readonly peer: string;
  /** The request's span, when it is traced and kept; see `CallContext.span`. */
  readonly span?: CallSpan | undefined;
}

/**
 * All that a plugin may use of the world: a frozen object made for one instance.
 *
 * @remarks Nothing else is shared between plugins, so an instance may run inline, in a process or on another machine
 * without its code knowing.
 */
export interface Host<Config = unknown> {
  /** Id from the manifest. */
  readonly pluginId: string;
  /** Version from the manifest. */
  readonly version: string;
  /** Validated configuration with defaults filled in. */
  readonly config: Config;
  /** Structured log. */
  readonly log: Logger;
  /** Current time. */
  readonly clock: Clock;
  /** Aborted when the instance stops. */
  readonly signal: AbortSignal;
  /** Durable storage. */
  readonly storage: Storage;
  /** Metrics on the metrics port. */
  readonly metrics: Metrics;
  /** Topics. */
  readonly events: Events;
  /** Granted secrets. */
  readonly secrets: Secrets;
  /**
   * Serves a service that the manifest lists under `provides`; call it during `start`.
   *
   * @param codecs - For methods whose messages are worth a decoder by hand; default those of the descriptor.
   */
  serve<Service extends DescService>(
    service: Service,
    implementation: ServiceImplementation<Service>,
    codecs?: ServiceCodecs<Service>,
  ): void;
  /** Answers HTTP requests under the manifest's `httpPrefix`; call it during `start`. */
  serveHttp(handler: FetchHandler): void;
  /** Client of another plugin's service, which the manifest lists under `requires`. */
  call<Service extends DescService>(service: Service, target?: CallTarget): Client<Service>;
  /**
   * Fetches over HTTP from a host that was granted under `capabilities.network`; the only way to the network that the
   * kernel guards at every level.
   *
   * @remarks Redirects are followed and each hop is checked. The address that was checked is the one connected to, so a
   * name cannot lead to one address first and to another then. Loopback, link-local and other special addresses need an
   * entry with exactly that address; private ones need an entry with that host, `*` means public hosts only. The call
   * ends when the instance stops.
   * @throws CAPABILITY_DENIED
   */
  fetch(input: string | URL, init?: RequestInit): Promise<Response>;
  /**
   * Connects to a gRPC server whose `host:port` was granted under `capabilities.network`. Addresses are checked as
   * {@link Host.fetch} checks them. Close what is not needed any more; the rest ends with the instance.
   *
   * @throws CAPABILITY_DENIED, SERVER_TARGET_INVALID
   */
  connect(target: ServerTarget): ServerConnection;
  /** Ties a resource to the instance: it is released when the instance stops, last acquired first. */
  own<Owned extends Resource>(resource: Owned): Owned;
}
