import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Agent, request as httpRequest, type IncomingMessage, type RequestOptions } from 'node:http';
import { connect, type Socket } from 'node:net';
import { createLogger } from '../../../kernel/logger.ts';
import type { HttpListenerLimits } from '../../../kernel/server/http-limits.ts';
import {
  type HttpExchange,
  HttpListener,
  type HttpListenerOptions,
} from '../../../kernel/server/http-listener.ts';
import { Code, DeclaredError, type FetchHandler } from '../../../sdk/index.ts';

interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly text: string;
}

describe('http listener', () => {
  const opened: { close(): unknown }[] = [];
  let port = 0;
  let listener: HttpListener;
  let logged: string[] = [];
  let exchanges: HttpExchange[] = [];

  afterEach(async () => {
    for (const { close } of opened.splice(0)) await close();
  });

  async function start(handler: FetchHandler, options: Partial<HttpListenerOptions> = {}): Promise<void> {
    logged = [];
    exchanges = [];
    const started = new HttpListener({
      name: 'http',
      host: '127.0.0.1',
      port: 0,
      log: createLogger({ format: 'json', write: (line) => logged.push(line) }),
      observe: (exchange) => exchanges.push(exchange),
      ...options,
    });
    started.mount('/t', handler, 'test.plugin');
    ({ port } = await started.listen());
    listener = started;
    opened.push({ close: () => started.close() });
  }

  /** Limits short enough to be waited for. */
  function short(limits: Partial<HttpListenerLimits>): Partial<HttpListenerOptions> {
    return { limits: { checkIntervalMs: 20, lingerMs: 50, ...limits } };
  }

  async function send(
    path: string,
    options: RequestOptions = {},
    body?: string | Uint8Array,
  ): Promise<Answer> {
    const request = httpRequest({ port, path, host: '127.0.0.1', agent: false, ...options });
    request.end(body);
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    const chunks: Uint8Array[] = [];
    for await (const chunk of response) chunks.push(chunk as Uint8Array);
    const { statusCode = 0, headers } = response;
    return { status: statusCode, headers, text: Buffer.concat(chunks).toString() };
  }

  function reason({ text }: Answer): string {
    return (JSON.parse(text) as { error: { reason: string } }).error.reason;
  }

  async function open(): Promise<Socket> {
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => undefined);
    opened.push({ close: () => socket.destroy() });
    await once(socket, 'connect');
    return socket;
  }

  async function all(socket: Socket): Promise<string> {
    let text = '';
    socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
    if (!socket.closed) await once(socket, 'close');
    return text;
  }

  /** Writes bytes as they are and reads all that comes until the listener closes the connection. */
  async function raw(text: string): Promise<string> {
    const socket = await open();
    socket.write(text);
    return all(socket);
  }

  const echo: FetchHandler = async (request) => new Response(await request.arrayBuffer());

  describe('requests', () => {
    it('reach the handler as web requests, with id and peer, and are observed', async () => {
      await start(async (request, { peer }) => {
        assert.match(peer, /^127\.0\.0\.1:\d+$/);
        const { pathname, search } = new URL(request.url);
        const text = `${request.method} ${pathname}${search} ${request.headers.get('x-a')} ${await request.text()}`;
        return new Response(text, {
          status: 201,
          headers: [
            ['set-cookie', 'a=1'],
            ['set-cookie', 'b=2'],
          ],
        });
      });
      const headers = { 'x-request-id': 'id-1', 'x-a': ['1', '2'] };
      const answer = await send('/t/a?b=c', { method: 'POST', headers }, 'body');
      assert.deepEqual(
        [answer.status, answer.text, answer.headers['x-request-id'], answer.headers['set-cookie']],
        [201, 'POST /t/a?b=c 1, 2 body', 'id-1', ['a=1', 'b=2']],
      );
      assert.equal(answer.headers['content-length'], String(answer.text.length));
      const { durationMs, peer, ...exchange } = exchanges[0] ?? assert.fail('not observed');
      assert.ok(durationMs >= 0 && peer !== '');
      assert.deepEqual(exchange, {
        method: 'POST',
        path: '/t/a',
        owner: 'test.plugin',
        status: 201,
        responseBytes: answer.text.length,
        requestId: 'id-1',
      });
    });

    it('get an id of their own when the client sends a hostile one', async () => {
      await start((request) => new Response(request.headers.get('x-request-id')));
      const answer = await send('/t', { headers: { 'x-request-id': 'a b' } });
      assert.match(answer.text, /^[0-9a-f-]{36}$/);
    });

    it('of HEAD are answered like GET, without the body', async () => {
      await start((request) => new Response(`${request.method}!`, { headers: { 'content-length': '4' } }));
      const answer = await send('/t', { method: 'HEAD' });
      assert.deepEqual([answer.status, answer.text, answer.headers['content-length']], [200, '', '4']);
    });

    it('may be answered with nothing, and with an empty stream', async () => {
      await start((request) =>
        request.url.endsWith('none')
          ? new Response(null, { status: 204 })
          : new Response(new Blob([]).stream()),
      );
      assert.equal((await send('/t/none')).status, 204);
      assert.equal((await send('/t/empty')).text, '');
    });

    it('pass the interceptors in order, which may answer themselves', async () => {
      await start(() => new Response('handler'), {
        interceptors: [
          async (_request, _context, next) => new Response(`(${await (await next()).text()})`),
          (request, _context, next) => (request.url.endsWith('stop') ? new Response('stopped') : next()),
        ],
      });
      assert.equal((await send('/t')).text, '(handler)');
      assert.equal((await send('/t/stop')).text, '(stopped)');
    });

    it('of 100 clients at once are all answered with their own bytes', async () => {
      await start(echo);
      const bodies = Array.from({ length: 100 }, (_, index) => `${index}`.repeat(2000));
      const answers = await Promise.all(bodies.map((body) => send('/t', { method: 'POST' }, body)));
      assert.deepEqual(
        answers.map(({ text }) => text),
        bodies,
      );
    });

    it('use one connection after another', async () => {
      await start(echo);
      const agent = new Agent({ keepAlive: true, maxSockets: 1 });
      opened.push({ close: () => agent.destroy() });
      for (const body of ['a', 'b'])
        assert.equal((await send('/t', { method: 'POST', agent }, body)).text, body);
    });
  });

  describe('errors', () => {
    it('that are declared go out as JSON with their status, reason and repair', async () => {
      await start(() => {
        throw new DeclaredError({
          reason: 'QUEUE_FULL',
          code: Code.RESOURCE_EXHAUSTED,
          message: 'Retry later.',
          metadata: { queue: 'q' },
          violations: [{ field: 'a', description: 'b' }],
          retryAfterMs: 1500,
        });
      });
      const answer = await send('/t', { headers: { 'x-request-id': 'r' } });
      assert.deepEqual([answer.status, answer.headers['retry-after']], [429, '2']);
      assert.deepEqual(JSON.parse(answer.text), {
        error: {
          code: 429,
          status: 'RESOURCE_EXHAUSTED',
          reason: 'QUEUE_FULL',
          message: 'Retry later.',
          metadata: { queue: 'q' },
          violations: [{ field: 'a', description: 'b' }],
          requestId: 'r',
        },
      });
      assert.deepEqual(logged, []);
    });

    it('that nobody declared show a fixed text and are logged with the request id', async () => {
      await start(() => {
        throw new Error('secret detail');
      });
      const answer = await send('/t', { headers: { 'x-request-id': 'r' } });
      assert.equal(answer.status, 500);
      assert.doesNotMatch(answer.text, /secret detail/);
      const [line] = logged.map(
        (text) => JSON.parse(text) as { requestId: string; error: { message: string } },
      );
      assert.deepEqual([line?.requestId, line?.error.message], ['r', 'secret detail']);
    });

    it('follow from an answer that is no Response', async () => {
      await start(() => ({}) as Response);
      assert.equal((await send('/t')).status, 500);
    });

    it('name the prefixes there are when nothing answers', async () => {
      await start(echo);
      for (const path of ['/', '/tx', '/other', '/t/../x', '/t/%2e%2e/x']) {
        const answer = await send(path);
        assert.deepEqual([answer.status, reason(answer)], [404, 'HTTP_PATH_NOT_FOUND'], path);
        assert.match(answer.text, /answers under: \/t\./);
      }
    });

    it('name the port that is taken', async () => {
      await start(echo);
      const log = createLogger({ write: () => undefined });
      const second = new HttpListener({ name: 'http', host: '127.0.0.1', port, log });
      await assert.rejects(second.listen(), { reason: 'PORT_IN_USE' });
    });
  });

  describe('hostile clients', () => {
    const refused: Readonly<Record<string, readonly [string, RegExp]>> = {
      'bytes that are no HTTP': ['\u0016\u0003\u0001\u0002\r\n\r\n', /^HTTP\/1\.1 400 /],
      'HTTP/2 without upgrade': ['PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', /^HTTP\/1\.1 400 /],
      'headers without end': [
        `GET /t HTTP/1.1\r\nhost: localhost\r\nx: ${'a'.repeat(20_000)}`,
        /^HTTP\/1\.1 431 /,
      ],
      'two lengths': [
        'POST /t HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab',
        /^HTTP\/1\.1 400 /,
      ],
      'length and chunks': [
        'POST /t HTTP/1.1\r\nhost: localhost\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
        /^HTTP\/1\.1 400 /,
      ],
      'a chunk size that is no number': [
        'POST /t HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n',
        /^HTTP\/1\.1 400 /,
      ],
      'endless chunk extensions': [
        `POST /t HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n1;${'a'.repeat(20_000)}`,
        /^HTTP\/1\.1 413 /,
      ],
      'a host with a path': [
        'GET /t HTTP/1.1\r\nhost: localhost/x\r\nconnection: close\r\n\r\n',
        /^HTTP\/1\.1 400 [^]*HTTP_REQUEST_INVALID/,
      ],
      'an absolute target of another scheme': [
        'GET ftp://localhost/t HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n',
        /^HTTP\/1\.1 400 [^]*HTTP_REQUEST_INVALID/,
      ],
      'the method TRACE': [
        'TRACE /t HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n',
        /^HTTP\/1\.1 400 [^]*HTTP_REQUEST_INVALID/,
      ],
      'a path that names a host': [
        'GET //t/x HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n',
        /^HTTP\/1\.1 404 /,
      ],
    };
    for (const [what, [text, expected]] of Object.entries(refused)) {
      it(`are told what is wrong with ${what}`, async () => {
        await start(echo);
        assert.match(await raw(text), expected);
        assert.equal((await send('/t', { method: 'POST' }, 'still there')).text, 'still there');
      });
    }

    it('cannot reach the kernel through a rebound name, unless it is allowed', async () => {
      await start(echo);
      const headers = { host: 'evil.example' };
      const answer = await send('/t', { headers });
      assert.deepEqual([answer.status, reason(answer)], [421, 'HTTP_HOST_REFUSED']);
      await start(echo, { allowedHosts: ['evil.example'] });
      assert.equal((await send('/t', { headers })).status, 200);
    });

    it('cannot post from a page of another origin, unless it is allowed', async () => {
      await start(echo);
      const headers = { origin: 'https://evil.example' };
      const answer = await send('/t', { method: 'POST', headers }, 'x');
      assert.deepEqual([answer.status, reason(answer)], [403, 'HTTP_ORIGIN_REFUSED']);
      assert.equal((await send('/t', { method: 'POST', headers: { origin: 'null' } }, 'x')).status, 403);
      assert.equal((await send('/t', { headers })).status, 200);
      const own = { origin: `http://127.0.0.1:${port}` };
      assert.equal((await send('/t', { method: 'POST', headers: own }, 'x')).status, 200);
      await start(echo, { allowedOrigins: ['https://evil.example'] });
      assert.equal((await send('/t', { method: 'POST', headers }, 'x')).status, 200);
    });

    it('that trickle their headers are cut off', async () => {
      await start(echo, short({ headersTimeoutMs: 50 }));
      assert.match(await raw('GET /t HTTP/1.1\r\nhost: local'), /^HTTP\/1\.1 408 /);
    });

    it('that stop in the middle of a body are cut off', async () => {
      await start(echo, short({ bodyIdleTimeoutMs: 30 }));
      const text = await raw('POST /t HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n\r\nab');
      assert.match(text, /^HTTP\/1\.1 408 [^]*HTTP_BODY_TIMEOUT/);
    });

    it('that never read what they asked for are cut off', async () => {
      let failure: unknown;
      const endless = new ReadableStream<Uint8Array>({
        pull: (controller) => controller.enqueue(new Uint8Array(1 << 20)),
        cancel: (cause) => {
          failure = cause ?? 'cancelled';
        },
      });
      await start(() => new Response(endless), short({ stallTimeoutMs: 50 }));
      const socket = await open();
      socket.pause();
      socket.write('GET /t HTTP/1.1\r\nhost: localhost\r\n\r\n');
      while (exchanges.length === 0) await new Promise((resolve) => setImmediate(resolve));
      assert.notEqual(failure, undefined);
      assert.match(logged.join(''), /HTTP request failed/);
    });
  });

  describe('bodies', () => {
    const megabytes = Buffer.alloc(1 << 20, 'm');

    it('of 100 MB are refused before a byte is read when their length says so', async () => {
      await start(echo);
      const answer = await send('/t', { method: 'POST', headers: { 'content-length': 100e6 } });
      assert.deepEqual([answer.status, reason(answer)], [413, 'HTTP_BODY_TOO_LARGE']);
    });

    it('in chunks are refused once they pass the limit, and the client reads why', async () => {
      await start(echo, { limits: { maxBodyBytes: 4 << 20 } });
      const request = httpRequest({ port, path: '/t', host: '127.0.0.1', method: 'POST', agent: false });
      request.on('error', () => undefined);
      for (let count = 0; count < 100; count += 1) request.write(megabytes);
      request.end();
      const [response] = (await once(request, 'response')) as [IncomingMessage];
      assert.equal(response.statusCode, 413);
      response.resume();
      await once(response, 'end');
    });

    it('of 100 MB pass where the limit allows them', async () => {
      await start(
        async (request) => {
          let bytes = 0;
          for await (const chunk of request.body ?? []) bytes += (chunk as Uint8Array).byteLength;
          return new Response(String(bytes));
        },
        { limits: { maxBodyBytes: 100 << 20 } },
      );
      assert.equal((await send('/t', { method: 'POST' }, Buffer.alloc(100 << 20))).text, String(100 << 20));
    });

    it('are awaited only after the limit was checked when the client asks', async () => {
      await start(echo, short({ maxBodyBytes: 10 }));
      const head =
        'POST /t HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\nconnection: close\r\ncontent-length: ';
      assert.match(await raw(`${head}11\r\n\r\n`), /^HTTP\/1\.1 413 /);
      assert.match(
        await raw(`${head}3\r\n\r\nabc`),
        /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 [^]*abc$/,
      );
    });

    it('that the handler does not want do not keep the connection from the next request', async () => {
      await start(async (request) => {
        await request.body?.cancel();
        return new Response('no');
      });
      const agent = new Agent({ keepAlive: true, maxSockets: 1 });
      opened.push({ close: () => agent.destroy() });
      const answers = [];
      for (let count = 0; count < 3; count += 1) {
        answers.push((await send('/t', { method: 'POST', agent }, megabytes)).text);
      }
      assert.deepEqual(answers, ['no', 'no', 'no']);
    });

    it('end with an error for a handler that reads on after its answer', async () => {
      let body: ReadableStream<Uint8Array> | null = null;
      await start((request) => {
        ({ body } = request);
        return new Response('early');
      });
      assert.equal((await send('/t', { method: 'POST' }, megabytes)).text, 'early');
      await assert.rejects(new Response(body).text(), TypeError);
    });
  });

  describe('streams', () => {
    it('are sent event by event, never held back', async () => {
      let events: ReadableStreamDefaultController<string> | undefined;
      const stream = new ReadableStream<string>({ start: (controller) => void (events = controller) });
      await start(
        () =>
          new Response(stream.pipeThrough(new TextEncoderStream()), {
            headers: { 'content-type': 'text/event-stream' },
          }),
      );
      const request = httpRequest({ port, path: '/t', host: '127.0.0.1', agent: false }).end();
      const [response] = (await once(request, 'response')) as [IncomingMessage];
      assert.equal(response.headers['content-type'], 'text/event-stream');
      for (const event of ['data: 1\n\n', 'data: 2\n\n']) {
        events?.enqueue(event);
        const [chunk] = (await once(response, 'data')) as [Buffer];
        assert.equal(chunk.toString(), event);
      }
      events?.close();
      await once(response, 'end');
    });

    it('end for the handler when the client goes away', async () => {
      const cancelled = resolvers();
      let signal: AbortSignal | undefined;
      await start((_request, context) => {
        ({ signal } = context);
        return new Response(
          new ReadableStream({
            start: (controller) => controller.enqueue(new Uint8Array(1)),
            cancel: () => cancelled.resolve(),
          }),
        );
      });
      const socket = await open();
      socket.write('GET /t HTTP/1.1\r\nhost: localhost\r\n\r\n');
      await once(socket, 'data');
      socket.destroy();
      await cancelled.promise;
      assert.equal(signal?.aborted, true);
      assert.deepEqual(logged, []);
    });

    it('of a request end with HTTP_CLIENT_GONE when the client leaves half-way', async () => {
      const read = resolvers<unknown>();
      await start(async (request) => {
        await request.text().catch((error: unknown) => read.resolve(error));
        return new Response('nobody reads this');
      });
      const socket = await open();
      socket.write('POST /t HTTP/1.1\r\nhost: localhost\r\ncontent-length: 99\r\n\r\nab');
      socket.end();
      assert.equal(((await read.promise) as DeclaredError).reason, 'HTTP_CLIENT_GONE');
    });

    it('that break off close the connection, so that nobody takes a part for the whole', async () => {
      let pulls = 0;
      const broken = new ReadableStream<Uint8Array>({
        pull: (controller) => {
          pulls += 1;
          if (pulls < 3) controller.enqueue(new Uint8Array(10));
          else controller.error(new Error('lost'));
        },
      });
      await start(() => new Response(broken));
      await assert.rejects(send('/t'), { code: 'ECONNRESET' });
      assert.match(logged.join(''), /"message":"lost"/);
    });
  });

  describe('mounts', () => {
    it('answer for the longest prefix that ends at a path segment', async () => {
      await start(() => new Response('t'));
      listener.mount('/', () => new Response('root'), 'app.console');
      listener.mount('/t/deep', () => new Response('deep'), 'other');
      const paths = ['/', '/x', '/tx', '/t', '/t/', '/t/x', '/t/deepx', '/t/deep', '/t/deep/x'];
      const answers = await Promise.all(paths.map((path) => send(path)));
      assert.deepEqual(
        answers.map(({ text }) => text),
        ['root', 'root', 'root', 't', 't', 't', 't', 'deep', 'deep'],
      );
    });

    it('refuse a prefix of another plugin and one that is none', async () => {
      await start(echo);
      assert.throws(() => listener.mount('/t', echo, 'other'), { reason: 'HTTP_PREFIX_TAKEN' });
      for (const prefix of ['', 't', '/t/', '//', '/a b', '/%2e', `/${'a'.repeat(300)}`]) {
        assert.throws(() => listener.mount(prefix, echo, 'x'), { reason: 'HTTP_PREFIX_INVALID' }, prefix);
      }
    });

    it('swap to a new version while the old one finishes what it has', async () => {
      await start(echo);
      const inside = resolvers<void>();
      const gate = resolvers<void>();
      const old = listener.mount(
        '/s',
        async () => {
          inside.resolve();
          await gate.promise;
          return new Response('old');
        },
        'p',
      );
      const running = send('/s');
      await inside.promise;
      const fresh = listener.mount('/s', () => new Response('new'), 'p');
      const closed = old.close(10_000);
      assert.equal((await send('/s')).text, 'new');
      gate.resolve();
      await closed;
      assert.equal((await running).text, 'old');
      await fresh.close();
      assert.equal((await send('/s')).status, 404);
    });

    it('abort what is still running after the grace time', async () => {
      await start(echo);
      const inside = resolvers<void>();
      const mount = listener.mount(
        '/s',
        (_request, { signal }) => {
          inside.resolve();
          return new Promise((_resolve, reject) => {
            signal.addEventListener('abort', () => reject(signal.reason as Error));
          });
        },
        'p',
      );
      const running = send('/s');
      await inside.promise;
      await mount.close(10);
      assert.equal((await running).status, 500);
    });
  });

  describe('closing', () => {
    it('lets running requests end and closes idle connections at once', async () => {
      const inside = resolvers<void>();
      const gate = resolvers<void>();
      await start(async () => {
        inside.resolve();
        await gate.promise;
        return new Response('done');
      });
      const idle = await open();
      const agent = new Agent({ keepAlive: true });
      opened.push({ close: () => agent.destroy() });
      const running = send('/t', { agent });
      await inside.promise;
      const closed = listener.close(60_000);
      await once(idle, 'close');
      gate.resolve();
      const answer = await running;
      assert.deepEqual([answer.text, answer.headers.connection], ['done', 'close']);
      await closed;
    });

    it('ends what runs longer than the grace time', async () => {
      const inside = resolvers<void>();
      await start(() => {
        inside.resolve();
        return new Promise(() => undefined);
      });
      const running = send('/t');
      const failed = assert.rejects(running, { code: 'ECONNRESET' });
      await inside.promise;
      await listener.close(10);
      await failed;
    });
  });
});

interface Resolvers<Value> {
  readonly promise: Promise<Value>;
  readonly resolve: (value: Value) => void;
}

function resolvers<Value = void>(): Resolvers<Value> {
  let resolve: (value: Value) => void = () => undefined;
  const promise = new Promise<Value>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}
