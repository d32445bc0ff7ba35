import { isDeclaredError } from 'lamella/sdk';

/** What asks for answers as events, in the header `accept`. */
const EVENT_STREAM = 'text/event-stream';

/** True where a request wants its answers as server-sent events. */
export function wantsEvents({ headers }: Request): boolean {
  return (headers.get('accept') ?? '').split(',').some((kind) => kind.split(';')[0]?.trim() === EVENT_STREAM);
}

/**
 * Answers as server-sent events, each as soon as it is there.
 *
 * @remarks The first one is waited for, so that a request which fails at once gets a status; later failures are an event
 * with the field `error`, the last one.
 */
export async function eventStream(answers: AsyncIterable<object>): Promise<Response> {
  const iterator = answers[Symbol.asyncIterator]();
  const first = await iterator.next();
  return new Response(ReadableStream.from(events(first, iterator)), {
    headers: { 'content-type': `${EVENT_STREAM}; charset=utf-8`, 'cache-control': 'no-cache' },
  });
}

async function* events(
  first: IteratorResult<object>,
  rest: AsyncIterator<object>,
): AsyncGenerator<Uint8Array> {
  try {
    for (let next = first; next.done !== true; next = await rest.next()) yield event(next.value);
  } catch (error) {
    if (!isDeclaredError(error)) throw error;
    yield event({ error: error.message });
  } finally {
    await rest.return?.();
  }
}

function event(value: object): Uint8Array {
  return Buffer.from(`data: ${JSON.stringify(value)}\n\n`);
}
