import {
  create,
  type DescMessage,
  type DescMethod,
  type DescService,
  fromBinary,
  type Message,
  toBinary,
} from '@bufbuild/protobuf';
import { isDeclaredError, type ServiceImplementation } from '../sdk/index.ts';
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
  /** Takes one message or a stream of them, as the kind says, and answers likewise. */
  readonly invoke: (request: unknown, call: Call) => unknown;
}

/** Path of a method on the wire. */
export function methodPath(method: DescMethod): string {
  return `/${method.parent.typeName}/${method.name}`;
}

/**
 * Looks up the function of each method of a service once. The errors that they declare get `domain`.
 *
 * @throws METHOD_NOT_IMPLEMENTED names every method that the implementation lacks.
 */
export function bindService<Service extends DescService>(
  service: Service,
  implementation: ServiceImplementation<Service>,
  domain: string,
): Map<string, BoundMethod> {
  const bound = new Map<string, BoundMethod>();
  const missing: string[] = [];
  const functions = implementation as Record<string, unknown>;
  for (const method of service.methods) {
    const found = functions[method.localName];
    if (typeof found === 'function') {
      bound.set(methodPath(method), {
        domain,
        descriptor: method,
        kind: method.methodKind,
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

/** Decodes a request; the sender's fault is told as such. */
export function decodeRequest(input: DescMessage, bytes: Uint8Array): Message {
  try {
    return fromBinary(input, bytes);
  } catch (cause) {
    throw new MalformedRequest({ type: input.typeName, reason: (cause as Error).message }, { cause });
  }
}

/** Encodes what an implementation returned: a message or its plain initialiser. */
export function encodeResponse(output: DescMessage, init: unknown): Uint8Array {
  return toBinary(output, create(output, init as Message));
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
    const { input, output } = method.descriptor;
    const message = decodeRequest(input, request);
    try {
      return encodeResponse(output, await method.invoke(message, call));
    } catch (error) {
      throw raisedBy(method, error);
    }
  }

  async *stream(path: string, requests: AsyncIterable<Uint8Array>, call: Call): AsyncGenerator<Uint8Array> {
    const method = this.#method(path);
    const { input, output } = method.descriptor;
    for await (const answer of answers(method, decodeStream(input, requests), call)) {
      yield encodeResponse(output, answer);
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
  input: DescMessage,
  requests: AsyncIterable<Uint8Array>,
): AsyncGenerator<Message> {
  for await (const bytes of requests) yield decodeRequest(input, bytes);
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
