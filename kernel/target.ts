import {
  create,
  type DescMethod,
  type DescService,
  fromBinary,
  type Message,
  toBinary,
} from '@bufbuild/protobuf';
import { isDeclaredError, type ServiceCodecs, type ServiceImplementation } from '../sdk/index.ts';
import type { Call } from './call.ts';
import { MalformedRequest, MethodNotImplemented } from './errors.ts';

/** Anything a route can point at: bytes in, bytes out. */
export interface Target {
  unary(path: string, request: Uint8Array, call: Call): Promise<Uint8Array>;
  /** Every other kind of method; a single message is a stream of one. */
  stream(path: string, requests: AsyncIterable<Uint8Array>, call: Call): AsyncIterable<Uint8Array>;
}

type Streaming = DescMethod['methodKind'];

/** A method of an implementation that lives in this process. */
export interface BoundMethod {
  /** Domain of the errors that it declares, see {@link DeclaredError.domain}. */
  readonly domain: string;
  readonly descriptor: DescMethod;
  readonly kind: Streaming;
  /** Decodes a request. @throws Error when the bytes are none */
  readonly read: (bytes: Uint8Array) => Message;
  /** Encodes what `invoke` answers: a message or its plain initialiser. */
  readonly write: (answer: unknown) => Uint8Array;
  /** Takes one message or a stream of them, as the kind says, and answers likewise. */
  readonly invoke: (request: unknown, call: Call) => unknown;
}

/** Path of a method on the wire. */
export function methodPath(method: DescMethod): string {
  return `/${method.parent.typeName}/${method.name}`;
}

/** What the methods of a service are bound to. */
export interface Binding<Service extends DescService> {
  readonly implementation: ServiceImplementation<Service>;
  /** Given to the errors that its methods declare. */
  readonly domain: string;
  /** Of methods for which the one of the descriptor will not do. */
  readonly codecs?: ServiceCodecs<Service> | undefined;
}

/**
 * Looks up the function of each method of a service once.
 *
 * @throws METHOD_NOT_IMPLEMENTED names every method that the implementation lacks.
 */
export function bindService<Service extends DescService>(
  service: Service,
  { implementation, domain, codecs }: Binding<Service>,
): Map<string, BoundMethod> {
  const bound = new Map<string, BoundMethod>();
  const missing: string[] = [];
  const functions = implementation as Record<string, unknown>;
  const own = (codecs ?? {}) as Readonly<Record<string, Codec | undefined>>;
  for (const method of service.methods) {
    const found = functions[method.localName];
    if (typeof found === 'function') {
      bound.set(methodPath(method), {
        domain,
        descriptor: method,
        kind: method.methodKind,
        read: own[method.localName]?.readRequest ?? ((bytes) => fromBinary(method.input, bytes)),
        write:
          own[method.localName]?.writeResponse ??
          ((answer) => toBinary(method.output, create(method.output, answer as Message))),
        invoke: found.bind(implementation) as BoundMethod['invoke'],
      });
    } else {
      missing.push(method.localName);
    }
  }
  if (missing.length > 0) {
    throw new MethodNotImplemented({ service: service.typeName, methods: missing.join(', ') });
  }
  return bound;
}

interface Codec {
  readonly readRequest?: BoundMethod['read'];
  readonly writeResponse?: BoundMethod['write'];
}

/** Decodes a request; the sender's fault is told as such. */
function decodeRequest(method: BoundMethod, bytes: Uint8Array): Message {
  try {
    return method.read(bytes);
  } catch (cause) {
    const { typeName: type } = method.descriptor.input;
    throw new MalformedRequest({ type, reason: (cause as Error).message }, { cause });
  }
}

/** What is thrown on for an error that an implementation threw: a declared one names who declared it. */
export function raisedBy({ domain }: BoundMethod, error: unknown): unknown {
  if (isDeclaredError(error) && error.domain === '') error.domain = domain;
  return error;
}

/** Serves calls by functions in this process: decodes, calls, encodes. */
export class LocalTarget implements Target {
  readonly methods: ReadonlyMap<string, BoundMethod>;

  constructor(methods: ReadonlyMap<string, BoundMethod>) {
    this.methods = methods;
  }

  #method(path: string): BoundMethod {
    const found = this.methods.get(path);
    if (found === undefined) {
      const [, service = '', name = ''] = path.split('/');
      throw new MethodNotImplemented({ service, methods: name });
    }
    return found;
  }

  async unary(path: string, request: Uint8Array, call: Call): Promise<Uint8Array> {
    const method = this.#method(path);
    const message = decodeRequest(method, request);
    try {
      return method.write(await method.invoke(message, call));
    } catch (error) {
      throw raisedBy(method, error);
    }
  }

  async *stream(path: string, requests: AsyncIterable<Uint8Array>, call: Call): AsyncGenerator<Uint8Array> {
    const method = this.#method(path);
    for await (const answer of answers(method, decodeStream(method, requests), call)) {
      yield method.write(answer);
    }
  }
}

/** Calls a method of any kind as if all of it were streams; one message is a stream of one. */
export async function* answers(
  method: BoundMethod,
  requests: AsyncIterable<Message>,
  call: Call,
): AsyncGenerator<unknown> {
  const takesOne = method.kind === 'server_streaming' || method.kind === 'unary';
  const argument = takesOne ? await only(requests) : requests;
  try {
    const answer = method.invoke(argument, call);
    if (method.kind === 'client_streaming' || method.kind === 'unary') yield await answer;
    else yield* answer as AsyncIterable<unknown>;
  } catch (error) {
    throw raisedBy(method, error);
  }
}

async function* decodeStream(
  method: BoundMethod,
  requests: AsyncIterable<Uint8Array>,
): AsyncGenerator<Message> {
  for await (const bytes of requests) yield decodeRequest(method, bytes);
}

/** The one message of a stream that must have exactly one. */
export async function only<Item>(items: AsyncIterable<Item>): Promise<Item> {
  for await (const item of items) return item;
  throw new MalformedRequest({ type: 'request', reason: 'the stream ended without a message' });
}

/** A stream of one message. */
export async function* streamOf<Item>(item: Item): AsyncGenerator<Item> {
  yield item;
}
