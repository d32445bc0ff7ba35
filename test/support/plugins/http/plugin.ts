import { Code, definePlugin, defineError, type ErrorType, type FetchHandler, type Plugin } from 'lamella/sdk';
import { EchoService } from '../../../../examples/echo/gen/echo/v1/echo_service_pb.ts';
import { createEchoService } from '../../../../examples/echo/service.ts';

const Refused: ErrorType = defineError({
  reason: 'HTTP_TEST_REFUSED',
  code: Code.ALREADY_EXISTS,
  message: () => 'The test plugin refuses this path; ask for another.',
});

/** What requests have done to this instance. */
const counts = { sent: 0, left: 0, aborted: 0, taken: 0 };

const ROUTES: Readonly<Record<string, FetchHandler>> = {
  '/t/counts': () => Response.json(counts),
  '/t/echo': async (request, { peer }) => {
    const { method, url } = request;
    const headers = {
      'x-method': method,
      'x-url': url,
      'x-peer': peer,
      'x-sent': request.headers.get('x-text') ?? '',
    };
    return new Response(await request.arrayBuffer(), { status: 201, headers });
  },
  '/t/through': (request) => new Response(request.body),
  '/t/slow-reader': async (request, { signal }) => {
    for await (const _chunk of request.body ?? []) {
      counts.taken += 1;
      await new Promise((resolve) => {
        signal.addEventListener('abort', resolve, { once: true });
      });
    }
    return new Response();
  },
  '/t/early': () => new Response('no need to send it all', { status: 413 }),
  '/t/cookies': () => {
    const headers = new Headers([
      ['set-cookie', 'a=1'],
      ['set-cookie', 'b=2'],
    ]);
    return new Response(null, { status: 204, headers });
  },
  '/t/events': (_request, { signal }) => {
    signal.addEventListener('abort', () => {
      counts.aborted += 1;
    });
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => controller.enqueue(Buffer.from('data: first\n\n')),
      cancel: () => {
        counts.left += 1;
      },
    });
    return new Response(body, { headers: { 'content-type': 'text/event-stream' } });
  },
  '/t/endless': () => {
    const chunk = Buffer.alloc(64 * 1024, 'x');
    const body = new ReadableStream<Uint8Array>(
      {
        pull: (controller) => {
          counts.sent += 1;
          controller.enqueue(new Uint8Array(chunk));
        },
      },
      { highWaterMark: 0 },
    );
    return new Response(body);
  },
  '/t/refuse': () => {
    throw new Refused({}, { retryAfterMs: 2_000 });
  },
  '/t/break': () => {
    throw new TypeError('secret detail');
  },
  '/t/nothing': () => undefined as unknown as Response,
};

const plugin: Plugin = definePlugin({
  start(host) {
    host.serve(EchoService, createEchoService(host.version));
    host.serveHttp((request, context) => {
      const route = ROUTES[new URL(request.url).pathname];
      return route === undefined ? new Response('', { status: 404 }) : route(request, context);
    });
  },
});
export default plugin;
