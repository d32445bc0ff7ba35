import {
  create,
  type DescMethod,
  type DescService,
  fromBinary,
  type Message,
  toBinary,
} from '@bufbuild/protobuf';
import type { CallHeaders, CallOptions, Client } from '../sdk/index.ts';
import { Propagation } from './propagation.ts';
import { only, streamOf } from './target.ts';

/** Options of one outgoing call with everything that travels along already merged in. */
export interface OutgoingCall {
  readonly headers: CallHeaders;
  readonly deadlineMs: number | undefined;
  readonly signal: AbortSignal | undefined;
  readonly requestId: string | undefined;
}

/** Carries typed calls somewhere: to a function, to another process, over the network. */
export interface ClientTransport {
  unary(method: DescMethod, request: Message, call: OutgoingCall): Promise<Message>;
  stream(method: DescMethod, requests: AsyncIterable<Message>, call: OutgoingCall): AsyncIterable<Message>;
}

/** Part of the remaining deadline kept back, so that the caller's own answer still arrives in time, in milliseconds. */
const DEADLINE_MARGIN_MS = 2;

/** What every call of a client has in common. */
export interface ClientDefaults {
  /** Sent with every call. */
  readonly headers?: CallHeaders | undefined;
  /** Which metadata of the call that led here travels along. */
  readonly propagation?: Propagation | undefined;
}

const PROPAGATION: Propagation = new Propagation();

/** Builds the typed client of a service over any transport. */
export function createClient<Service extends DescService>(
  service: Service,
  transport: ClientTransport,
  defaults: ClientDefaults = {},
): Client<Service> {
  const client: Record<string, unknown> = {};
  for (const method of service.methods) {
    client[method.localName] = methodClient(method, transport, defaults);
  }
  return client as Client<Service>;
}

type Init = Message;

function methodClient(method: DescMethod, transport: ClientTransport, defaults: ClientDefaults): unknown {
  const prepare = (options?: CallOptions): OutgoingCall => outgoing(options, defaults);
  switch (method.methodKind) {
    case 'unary':
      return (request: Init, options?: CallOptions) =>
        transport.unary(method, create(method.input, request), prepare(options));
    case 'server_streaming':
      return (request: Init, options?: CallOptions) =>
        transport.stream(method, streamOf(create(method.input, request)), prepare(options));
    case 'client_streaming':
      return (requests: AsyncIterable<Init>, options?: CallOptions) =>
        only(transport.stream(method, messages(method, requests), prepare(options)));
    case 'bidi_streaming':
      return (requests: AsyncIterable<Init>, options?: CallOptions) =>
        transport.stream(method, messages(method, requests), prepare(options));
  }
}

async function* messages(method: DescMethod, inits: AsyncIterable<Init>): AsyncGenerator<Message> {
  for await (const init of inits) yield create(method.input, init);
}

function outgoing(options: CallOptions = {}, defaults: ClientDefaults): OutgoingCall {
  const { context, signal, timeoutMs } = options;
  return {
    headers: outgoingHeaders(options, defaults),
    deadlineMs: earliest(
      timeoutMs === undefined ? undefined : Date.now() + timeoutMs,
      context?.deadlineMs === undefined ? undefined : context.deadlineMs - DEADLINE_MARGIN_MS,
    ),
    signal: combine(signal, context?.signal),
    requestId: context?.requestId,
  };
}

/** The target's own headers, those of the call that led here, and the caller's, which win. */
function outgoingHeaders({ context, headers = [] }: CallOptions, defaults: ClientDefaults): CallHeaders {
  const sent: CallHeaders = new Map(defaults.headers);
  if (context !== undefined) (defaults.propagation ?? PROPAGATION).carry(context.headers, sent);
  for (const [name, value] of headers) sent.set(name.toLowerCase(), value);
  return sent;
}

function earliest(first: number | undefined, second: number | undefined): number | undefined {
  if (first === undefined) return second;
  return second === undefined ? first : Math.min(first, second);
}

function combine(first: AbortSignal | undefined, second: AbortSignal | undefined): AbortSignal | undefined {
  if (first === undefined || second === undefined) return first ?? second;
  return AbortSignal.any([first, second]);
}

/** Carries bytes over a connection; the kernel's link is one. */
export interface BytesTransport {
  unary(path: string, request: Uint8Array, call: OutgoingCall): Promise<Uint8Array>;
  stream(path: string, requests: AsyncIterable<Uint8Array>, call: OutgoingCall): AsyncIterable<Uint8Array>;
}

/** Encodes typed calls for a transport of bytes. */
export class EncodingTransport implements ClientTransport {
  readonly #bytes: BytesTransport;

  constructor(bytes: BytesTransport) {
    this.#bytes = bytes;
  }

  async unary(method: DescMethod, request: Message, call: OutgoingCall): Promise<Message> {
    const path = `/${method.parent.typeName}/${method.name}`;
    return fromBinary(method.output, await this.#bytes.unary(path, toBinary(method.input, request), call));
  }

  async *stream(
    method: DescMethod,
    requests: AsyncIterable<Message>,
    call: OutgoingCall,
  ): AsyncGenerator<Message> {
    const path = `/${method.parent.typeName}/${method.name}`;
    const encoded = encodeAll(method, requests);
    for await (const bytes of this.#bytes.stream(path, encoded, call)) {
      yield fromBinary(method.output, bytes);
    }
  }
}

async function* encodeAll(method: DescMethod, requests: AsyncIterable<Message>): AsyncGenerator<Uint8Array> {
  for await (const request of requests) yield toBinary(method.input, request);
}
