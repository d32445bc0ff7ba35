import type { HttpContext } from 'lamella/sdk';
import type { OrtTensors } from 'lamella/sdk/ort';
import { signalCancellation } from './cancellation.ts';
import { decoupled, RequestInvalid } from './errors.ts';
import { eventStream, wantsEvents } from './event-stream.ts';
import { generateAnswer, readGenerateRequest } from './generate.ts';
import type { InferCall } from './infer-call.ts';
import type { LoadedModel } from './loaded-model.ts';
import { readBody, readBodyObject } from './rest-body.ts';
import { readInferRequest } from './rest-request.ts';
import { inferEvent, writeInferResponse } from './rest-response.ts';
import type { SharedMemory } from './shared-memory.ts';

/** A request for inference over HTTP. */
export interface RestCall {
  readonly request: Request;
  readonly context: HttpContext;
}

/** Answers `infer`; as events where the request accepts them, which is the way for decoupled models. */
export async function restInfer(
  model: LoadedModel,
  { request, context }: RestCall,
  memory: SharedMemory,
): Promise<Response> {
  const { shape } = model;
  const isStream = wantsEvents(request);
  if (model.isDecoupled && !isStream) throw decoupled('HTTP end point');
  const read = readInferRequest(await readBody(request), request.headers, { shape, memory });
  const requestId = requestIdOf(read.id, request);
  const call = { ...read, requestId, span: context.span, cancellation: signalCancellation(context.signal) };
  if (isStream) {
    return eventStream(
      mapped(answersOf(model, call), (outputs) => inferEvent(model.shape, read.id, outputs)),
    );
  }
  return writeInferResponse({ shape, memory }, read, await model.infer(call));
}

/** Answers `generate`. */
export async function restGenerate(model: LoadedModel, call: RestCall): Promise<object> {
  const [only, more] = await taken(await generated(model, call), 2);
  if (only !== undefined && more === undefined) return only;
  const problem =
    'generate expects model to produce exactly 1 response, use generate stream for model that generates various ' +
    'number of responses';
  throw new RequestInvalid({ problem });
}

/** Answers `generate_stream`. */
export async function restGenerateStream(model: LoadedModel, call: RestCall): Promise<Response> {
  return eventStream(await generated(model, call));
}

async function generated(model: LoadedModel, { request, context }: RestCall): Promise<AsyncIterable<object>> {
  const read = readGenerateRequest(await readBodyObject(request), model.shape);
  const requestId = requestIdOf(read.id, request);
  const call = {
    ...read,
    outputs: [],
    requestId,
    span: context.span,
    cancellation: signalCancellation(context.signal),
  };
  return mapped(answersOf(model, call), (outputs) => generateAnswer(model.shape, read.id, outputs));
}

/** The caller's own id, or the one that the kernel gave. */
function requestIdOf(id: string | undefined, request: Request): string {
  return id || (request.headers.get('x-request-id') ?? '');
}

/** All answers to a request, of which most models give one. */
async function* answersOf(model: LoadedModel, call: InferCall): AsyncGenerator<OrtTensors> {
  if (model.isDecoupled) yield* model.stream(call);
  else yield await model.infer(call);
}

async function* mapped<From, To>(items: AsyncIterable<From>, map: (item: From) => To): AsyncGenerator<To> {
  for await (const item of items) yield map(item);
}

async function taken<Item>(items: AsyncIterable<Item>, count: number): Promise<Item[]> {
  const first: Item[] = [];
  for await (const item of items) {
    first.push(item);
    if (first.length === count) break;
  }
  return first;
}
