import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import path from 'node:path';
import * as grpc from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { ROOT } from '../echo-plugin.ts';

/** A span as it came over the wire, as far as tests look at it. */
export interface ReceivedSpan {
  /** `service.name` of its resource. */
  readonly service: string;
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentId: string;
  readonly kind: number;
  readonly statusCode: number;
  readonly attributes: Readonly<Record<string, string>>;
  readonly events: readonly string[];
  readonly startNs: bigint;
  readonly endNs: bigint;
  /** Ids of the spans that it is linked to. */
  readonly links: readonly string[];
}

interface WireAttribute {
  readonly key: string;
  readonly value: Readonly<Record<string, unknown>> & { readonly value: string };
}

interface WireSpan {
  readonly traceId: Uint8Array;
  readonly spanId: Uint8Array;
  readonly parentSpanId: Uint8Array;
  readonly name: string;
  readonly kind: number;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes: readonly WireAttribute[];
  readonly events: readonly { readonly name: string }[];
  readonly links: readonly { readonly spanId: Uint8Array }[];
  readonly status: { readonly code: number } | null;
}

interface WireRequest {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: readonly WireAttribute[] };
    readonly scopeSpans: readonly { readonly spans: readonly WireSpan[] }[];
  }[];
}

const SERVICE = 'opentelemetry.proto.collector.trace.v1.TraceService';
const PROTO = path.join(ROOT, 'test/support/otlp/trace_service.proto');

/** A receiver of OTLP over gRPC and HTTP that keeps the spans it gets. */
export class Collector {
  readonly spans: ReceivedSpan[] = [];
  readonly #grpc: grpc.Server = new grpc.Server();
  readonly #service: grpc.ServiceDefinition;
  #http: Server | undefined;
  #arrived: () => void = () => undefined;
  httpEndpoint = '';
  grpcEndpoint = '';

  constructor() {
    const loaded = loadSync(PROTO, { longs: String, defaults: true, oneofs: true });
    this.#service = loaded[SERVICE] as grpc.ServiceDefinition;
  }

  async start(): Promise<void> {
    this.#grpc.addService(this.#service, {
      Export: (call: grpc.ServerUnaryCall<WireRequest, object>, callback: grpc.sendUnaryData<object>) => {
        this.#take(call.request);
        callback(null, {});
      },
    });
    const port = await new Promise<number>((resolve, reject) => {
      this.#grpc.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) =>
        error === null ? resolve(bound) : reject(error),
      );
    });
    this.grpcEndpoint = `http://127.0.0.1:${port}`;
    const decode = this.#service['Export']?.requestDeserialize;
    const server = createServer((request, response) => {
      void buffer(request).then((bytes) => {
        if (request.url === '/v1/traces') this.#take(decode?.(bytes) as unknown as WireRequest);
        response.writeHead(request.url === '/v1/traces' ? 200 : 404, {
          'content-type': 'application/x-protobuf',
        });
        response.end();
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    this.#http = server;
    this.httpEndpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  #take({ resourceSpans }: WireRequest): void {
    for (const { resource, scopeSpans } of resourceSpans) {
      const service = attributesOf(resource.attributes)['service.name'] ?? '';
      this.spans.push(...scopeSpans.flatMap(({ spans }) => spans.map((span) => received(service, span))));
    }
    this.#arrived();
  }

  /** The spans of a trace, once there are as many. */
  async trace(traceId: string, count: number): Promise<ReceivedSpan[]> {
    for (;;) {
      const found = this.spans.filter((span) => span.traceId === traceId);
      if (found.length >= count) return found;
      await new Promise<void>((resolve) => (this.#arrived = resolve));
    }
  }

  close(): void {
    this.#grpc.forceShutdown();
    this.#http?.closeAllConnections();
    this.#http?.close();
  }
}

function received(service: string, span: WireSpan): ReceivedSpan {
  const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
  return {
    service,
    name: span.name,
    traceId: hex(span.traceId),
    spanId: hex(span.spanId),
    parentId: hex(span.parentSpanId),
    kind: span.kind,
    statusCode: span.status?.code ?? 0,
    attributes: attributesOf(span.attributes),
    events: span.events.map(({ name }) => name),
    links: span.links.map(({ spanId }) => hex(spanId)),
    startNs: BigInt(span.startTimeUnixNano),
    endNs: BigInt(span.endTimeUnixNano),
  };
}

function attributesOf(attributes: readonly WireAttribute[]): Record<string, string> {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, String(value[value.value])]));
}
