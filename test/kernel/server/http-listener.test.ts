import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Agent, type IncomingMessage, request as httpRequest } from 'node:http';
import { createLogger } from '../../../kernel/logger.ts';
import { HttpListener } from '../../../kernel/server/http-listener.ts';
import { Code, DeclaredError } from '../../../sdk/index.ts';
import { HttpProbe, echo, reason, resolvers } from '../../support/http-probe.ts';

describe('http listener', () => {
  const probe = new HttpProbe();

  afterEach(() => probe.close());

  describe('requests', () => {
    it('reach the handler as web requests, with id and peer, and are observed', async () => {
      await probe.start(async (request, { peer }) => {
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
      const answer = await probe.send('/t/a?b=c', { method: 'POST', headers }, 'body');
      assert.deepEqual(
        [answer.status, answer.text, answer.headers['x-request-id'], answer.headers['set-cookie']],
        [201, 'POST /t/a?b=c 1, 2 body', 'id-1', ['a=1', 'b=2']],
      );
      assert.equal(answer.headers['content-length'], String(answer.text.length));
      const { durationMs, peer, ...exchange } = probe.exchanges[0] ?? assert.fail('not observed');
      assert.ok(durationMs >= 0 && peer !== '');
      assert.deepEqual(exchange, {
        method: 'POST',
        path: '/t/a',
        owner: 'test.plugin',
        served: undefined,
        principal: undefined,
        status: 201,
        reason: undefined,
        requestBytes: 4,
        responseBytes: answer.text.length,
        requestId: 'id-1',
        traceparent: undefined,
        cancelledBy: undefined,
      });
    });

    it('get an id of their own when the client sends a hostile one', async () => {
      await probe.start((request) => new Response(request.headers.get('x-request-id')));
      const answer = await probe.send('/t', { headers: { 'x-request-id': 'a b' } });
      assert.match(answer.text, /^[0-9a-f-]{36}$/);
    });

    it('of HEAD are answered like GET, without the body', async () => {
      await probe.start(
        (request) => new Response(`${request.method}!`, { headers: { 'content-length': '4' } }),
      );
      const answer = await probe.send('/t', { method: 'HEAD' });
      assert.deepEqual([answer.status, answer.text, answer.headers['content-length']], [200, '', '4']);
    });

    it('may be answered with nothing, and with an empty stream', async () => {
      await probe.start((request) =>
        request.url.endsWith('none')
          ? new Response(null, { status: 204 })
          : new Response(new Blob([]).stream()),
      );
      assert.equal((await probe.send('/t/none')).status, 204);
      assert.equal((await probe.send('/t/empty')).text, '');
    });

    it('pass the interceptors in order, which may answer themselves', async () => {
      await probe.start(() => new Response('handler'), {
        interceptors: [
          async (_request, _context, next) => new Response(`(${await (await next()).text()})`),
          (request, _context, next) => (request.url.endsWith('stop') ? new Response('stopped') : next()),
        ],
      });
      assert.equal((await probe.send('/t')).text, '(handler)');
      assert.equal((await probe.send('/t/stop')).text, '(stopped)');
    });

    it('of 100 clients at once are all answered with their own bytes', async () => {
      await probe.start(echo);
      const bodies = Array.from({ length: 100 }, (_, index) => `${index}`.repeat(2000));
      const answers = await Promise.all(bodies.map((body) => probe.send('/t', { method: 'POST' }, body)));
      assert.deepEqual(
        answers.map(({ text }) => text),
        bodies,
      );
    });

    it('use one connection after another', async () => {
      await probe.start(echo);
      const agent = new Agent({ keepAlive: true, maxSockets: 1 });
      probe.opened.push({ close: () => agent.destroy() });
      for (const body of ['a', 'b'])
        assert.equal((await probe.send('/t', { method: 'POST', agent }, body)).text, body);
    });
  });

  describe('errors', () => {
    it('that are declared go out as JSON with their status, reason and repair', async () => {
      await probe.start(() => {
        throw new DeclaredError({
          reason: 'QUEUE_FULL',
          code: Code.RESOURCE_EXHAUSTED,
          message: 'Retry later.',
          metadata: { queue: 'q' },
          violations: [{ field: 'a', description: 'b' }],
          retryAfterMs: 1500,
        });
      });
      const answer = await probe.send('/t', { headers: { 'x-request-id': 'r' } });
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
      assert.deepEqual(probe.logged, []);
    });

    it('that nobody declared show a fixed text and are probe.logged with the request id', async () => {
      await probe.start(() => {
        throw new Error('secret detail');
      });
      const answer = await probe.send('/t', { headers: { 'x-request-id': 'r' } });
      assert.equal(answer.status, 500);
      assert.doesNotMatch(answer.text, /secret detail/);
      const [line] = probe.logged.map(
        (text) => JSON.parse(text) as { requestId: string; error: { message: string } },
      );
      assert.deepEqual([line?.requestId, line?.error.message], ['r', 'secret detail']);
    });

    it('follow from an answer that is no Response', async () => {
      await probe.start(() => ({}) as Response);
      assert.equal((await probe.send('/t')).status, 500);
    });

    it('name the prefixes there are when nothing answers', async () => {
      await probe.start(echo);
      for (const path of ['/', '/tx', '/other', '/t/../x', '/t/%2e%2e/x']) {
        const answer = await probe.send(path);
        assert.deepEqual([answer.status, reason(answer)], [404, 'HTTP_PATH_NOT_FOUND'], path);
        assert.match(answer.text, /answers under: \/t\./);
      }
    });

    it('name the port that is taken', async () => {
      await probe.start(echo);
      const log = createLogger({ write: () => undefined });
      const second = new HttpListener({ name: 'http', host: '127.0.0.1', port: probe.port, log });
      await assert.rejects(second.listen(), { reason: 'PORT_IN_USE' });
    });
  });

  describe('streams', () => {
    it('are sent event by event, never held back', async () => {
      let events: ReadableStreamDefaultController<string> | undefined;
      const stream = new ReadableStream<string>({ start: (controller) => void (events = controller) });
      await probe.start(
        () =>
          new Response(stream.pipeThrough(new TextEncoderStream()), {
            headers: { 'content-type': 'text/event-stream' },
          }),
      );
      const request = httpRequest({ port: probe.port, path: '/t', host: '127.0.0.1', agent: false }).end();
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
      await probe.start((_request, context) => {
        ({ signal } = context);
        return new Response(
          new ReadableStream({
            start: (controller) => controller.enqueue(new Uint8Array(1)),
            cancel: () => cancelled.resolve(),
          }),
        );
      });
      const socket = await probe.open();
      socket.write('GET /t HTTP/1.1\r\nhost: localhost\r\n\r\n');
      await once(socket, 'data');
      socket.destroy();
      await cancelled.promise;
      assert.equal(signal?.aborted, true);
      assert.deepEqual(probe.logged, []);
    });

    it('of a request end with HTTP_CLIENT_GONE when the client leaves half-way', async () => {
      const read = resolvers<unknown>();
      await probe.start(async (request) => {
        await request.text().catch((error: unknown) => read.resolve(error));
        return new Response('nobody reads this');
      });
      const socket = await probe.open();
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
      await probe.start(() => new Response(broken));
      await assert.rejects(probe.send('/t'), { code: 'ECONNRESET' });
      assert.match(probe.logged.join(''), /"message":"lost"/);
    });
  });
});
