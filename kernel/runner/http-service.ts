import type { MessageInitShape } from '@bufbuild/protobuf';
import type {
  HandleRequest,
  HandleResponseSchema,
  HttpRequestHead,
  HttpService,
} from '../../proto/gen/lamella/kernel/v1/http_service_pb.ts';
import type { CallContext, FetchHandler, ServiceImplementation } from '../../sdk/index.ts';
import { MalformedRequest } from '../errors.ts';

type Part = MessageInitShape<typeof HandleResponseSchema>;

/** Serves a plugin's HTTP handler to the kernel, whose listener has the connection. */
export function createHttpService(handler: FetchHandler): ServiceImplementation<typeof HttpService> {
  return {
    async *handle(requests, context): AsyncGenerator<Part> {
      const parts = requests[Symbol.asyncIterator]();
      const head = await headOf(parts);
      const { signal } = context;
      const answer = await handler(toRequest(head, parts, context), { signal, peer: head.peer });
      if (!(answer instanceof Response)) {
        throw new TypeError('The HTTP handler answered with something that is no Response.');
      }
      const headers = [...answer.headers].map(([name, value]) => ({ name, value }));
      yield { part: { case: 'head', value: { status: answer.status, headers } } };
      if (answer.body === null) return;
      yield* bodyParts(answer.body.getReader() as ReadableStreamDefaultReader<Uint8Array>, signal);
    },
  };
}

/** Reads a body for as long as somebody waits for it; one that has nothing to say yet must hear of its end too. */
async function* bodyParts(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  signal: AbortSignal,
): AsyncGenerator<Part> {
  const cancel = (): void => void reader.cancel(signal.reason).catch(() => undefined);
  if (signal.aborted) cancel();
  signal.addEventListener('abort', cancel, { once: true });
  try {
    for (let next = await reader.read(); !next.done; next = await reader.read()) {
      yield { part: { case: 'body', value: next.value } };
    }
    signal.throwIfAborted();
  } finally {
    signal.removeEventListener('abort', cancel);
    cancel();
  }
}

async function headOf(parts: AsyncIterator<HandleRequest>): Promise<HttpRequestHead> {
  const first = await parts.next();
  if (first.done !== true && first.value.part.case === 'head') return first.value.part.value;
  throw new MalformedRequest({ type: 'HandleRequest', reason: 'the first message is not a head' });
}

function toRequest(
  head: HttpRequestHead,
  parts: AsyncIterator<HandleRequest>,
  { signal }: CallContext,
): Request {
  const headers = new Headers(head.headers.map(({ name, value }): [string, string] => [name, value]));
  const length = headers.get('content-length');
  const carriesBody = headers.has('transfer-encoding') || (length !== null && length !== '0');
  const hasBody = carriesBody && head.method !== 'GET' && head.method !== 'HEAD';
  return new Request(head.url, {
    method: head.method,
    headers,
    signal,
    ...(hasBody && { body: bodyOf(parts), duplex: 'half' }),
  });
}

/** Reads one message each time the handler wants more, so that a handler that is slow holds its client back. */
function bodyOf(parts: AsyncIterator<HandleRequest>): ReadableStream<Uint8Array> {
  return new ReadableStream(
    {
      pull: async (controller) => {
        const next = await parts.next();
        if (next.done === true) controller.close();
        else if (next.value.part.case === 'body') controller.enqueue(next.value.part.value);
        else controller.error(new TypeError('The kernel sent something that is no part of a body.'));
      },
      cancel: async () => {
        await parts.return?.();
      },
    },
    { highWaterMark: 0 },
  );
}
