import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import {
  HandleRequestSchema,
  type HandleResponse,
  HandleResponseSchema,
  HttpService,
} from '../../proto/gen/lamella/kernel/v1/http_service_pb.ts';
import type { FetchHandler, HttpContext } from '../../sdk/index.ts';
import { Call } from '../call.ts';
import { fromStatus } from '../server/status.ts';
import { methodPath, type Target } from '../target.ts';

const PATH = methodPath(HttpService.method.handle);

/** Statuses whose answers have no body, by the fetch standard. */
const BODYLESS: ReadonlySet<number> = new Set([204, 205, 304]);

/** An HTTP handler that passes requests on to a plugin outside the kernel's thread, part by part. */
export function forwardHttp(target: Target): FetchHandler {
  return async (request, context) => {
    const call = new Call({
      readHeaders: () => new Map(),
      readPeer: () => context.peer,
      onCancelled: (listener) => context.signal.addEventListener('abort', listener, { once: true }),
    });
    if (context.signal.aborted) call.abort(context.signal.reason);
    const answers = target.stream(PATH, partsOf(request, context), call)[Symbol.asyncIterator]();
    const first = await nextOf(answers);
    if (first?.part.case !== 'head') throw new Error('the plugin answered without a head');
    const { status, headers } = first.part.value;
    return new Response(BODYLESS.has(status) ? await ended(answers) : bodyOf(answers), {
      status,
      headers: headers.map(({ name, value }): [string, string] => [name, value]),
    });
  };
}

async function* partsOf(request: Request, { peer }: HttpContext): AsyncGenerator<Uint8Array> {
  const { method, url, body } = request;
  const headers = [...request.headers].map(([name, value]) => ({ name, value }));
  const head = { method, url, headers, peer };
  yield toBinary(HandleRequestSchema, create(HandleRequestSchema, { part: { case: 'head', value: head } }));
  if (body === null) return;
  for await (const value of body as ReadableStream<Uint8Array>) {
    yield toBinary(HandleRequestSchema, create(HandleRequestSchema, { part: { case: 'body', value } }));
  }
}

type Answers = AsyncIterator<Uint8Array>;

/** @throws what the plugin declared. */
async function nextOf(answers: Answers): Promise<HandleResponse | undefined> {
  try {
    const next = await answers.next();
    return next.done === true ? undefined : fromBinary(HandleResponseSchema, next.value);
  } catch (error) {
    throw fromStatus(error);
  }
}

async function ended(answers: Answers): Promise<null> {
  await answers.return?.();
  return null;
}

/** Takes from the plugin what the client takes from the kernel, and no more. */
function bodyOf(answers: Answers): ReadableStream<Uint8Array> {
  return new ReadableStream(
    {
      pull: async (controller) => {
        const next = await nextOf(answers);
        if (next === undefined) controller.close();
        else if (next.part.case === 'body') controller.enqueue(next.part.value);
        else throw new Error('the plugin answered with a second head');
      },
      cancel: async () => {
        await answers.return?.();
      },
    },
    { highWaterMark: 0 },
  );
}
