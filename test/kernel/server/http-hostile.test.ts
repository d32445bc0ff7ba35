import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Agent, type IncomingMessage, request as httpRequest } from 'node:http';
import { HttpProbe, echo, reason, short } from '../../support/http-probe.ts';

describe('http listener and hostile clients', () => {
  const probe = new HttpProbe();

  afterEach(() => probe.close());

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
        await probe.start(echo);
        assert.match(await probe.raw(text), expected);
        assert.equal((await probe.send('/t', { method: 'POST' }, 'still there')).text, 'still there');
      });
    }

    it('cannot reach the kernel through a rebound name, unless it is allowed', async () => {
      await probe.start(echo);
      const headers = { host: 'evil.example' };
      const answer = await probe.send('/t', { headers });
      assert.deepEqual([answer.status, reason(answer)], [421, 'HTTP_HOST_REFUSED']);
      await probe.start(echo, { allowedHosts: ['evil.example'] });
      assert.equal((await probe.send('/t', { headers })).status, 200);
    });

    it('cannot post from a page of another origin, unless it is allowed', async () => {
      await probe.start(echo);
      const headers = { origin: 'https://evil.example' };
      const answer = await probe.send('/t', { method: 'POST', headers }, 'x');
      assert.deepEqual([answer.status, reason(answer)], [403, 'HTTP_ORIGIN_REFUSED']);
      assert.equal(
        (await probe.send('/t', { method: 'POST', headers: { origin: 'null' } }, 'x')).status,
        403,
      );
      assert.equal((await probe.send('/t', { headers })).status, 200);
      const own = { origin: `http://127.0.0.1:${probe.port}` };
      assert.equal((await probe.send('/t', { method: 'POST', headers: own }, 'x')).status, 200);
      await probe.start(echo, { allowedOrigins: ['https://evil.example'] });
      assert.equal((await probe.send('/t', { method: 'POST', headers }, 'x')).status, 200);
    });

    it('that trickle their headers are cut off', async () => {
      await probe.start(echo, short({ headersTimeoutMs: 50 }));
      assert.match(await probe.raw('GET /t HTTP/1.1\r\nhost: local'), /^HTTP\/1\.1 408 /);
    });

    it('beyond the connections it takes are closed, and others are taken later', async () => {
      await probe.start(echo, short({ maxConnections: 2 }));
      const [first] = [await probe.open(), await probe.open()];
      const third = await probe.open();
      if (!third.closed) await once(third, 'close');
      first.destroy();
      await once(first, 'close');
      let answer: string | undefined;
      while (answer === undefined) {
        const sent = probe.send('/t', { method: 'POST' }, 'room');
        answer = await sent.then(({ text }) => text).catch(() => undefined);
      }
      assert.equal(answer, 'room');
    });

    it('a hundred at once that trickle their headers are all cut off, while others are served', async () => {
      await probe.start(echo, short({ headersTimeoutMs: 100 }));
      const slow = await Promise.all(Array.from({ length: 100 }, () => probe.open()));
      for (const socket of slow) socket.write('GET /t HTTP/1.1\r\nhost: loc');
      const drops = setInterval(() => {
        for (const socket of slow) if (socket.writable) socket.write('a');
      }, 20);
      assert.equal((await probe.send('/t', { method: 'POST' }, 'served')).text, 'served');
      for (const socket of slow) {
        if (!socket.closed) await once(socket, 'close').catch(() => undefined);
      }
      clearInterval(drops);
    });

    it('that stop in the middle of a body are cut off', async () => {
      await probe.start(echo, short({ bodyIdleTimeoutMs: 30 }));
      const text = await probe.raw('POST /t HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n\r\nab');
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
      await probe.start(() => new Response(endless), short({ stallTimeoutMs: 50 }));
      const socket = await probe.open();
      socket.pause();
      socket.write('GET /t HTTP/1.1\r\nhost: localhost\r\n\r\n');
      while (probe.exchanges.length === 0) await new Promise((resolve) => setImmediate(resolve));
      assert.notEqual(failure, undefined);
      assert.match(probe.logged.join(''), /HTTP request failed/);
    });
  });

  describe('bodies', () => {
    const megabytes = Buffer.alloc(1 << 20, 'm');

    it('of 100 MB are refused before a byte is read when their length says so', async () => {
      await probe.start(echo);
      const answer = await probe.send('/t', { method: 'POST', headers: { 'content-length': 100e6 } });
      assert.deepEqual([answer.status, reason(answer)], [413, 'HTTP_BODY_TOO_LARGE']);
    });

    it('in chunks are refused once they pass the limit, and the client reads why', async () => {
      await probe.start(echo, { limits: { maxBodyBytes: 4 << 20 } });
      const request = httpRequest({
        port: probe.port,
        path: '/t',
        host: '127.0.0.1',
        method: 'POST',
        agent: false,
      });
      request.on('error', () => undefined);
      for (let count = 0; count < 100; count += 1) request.write(megabytes);
      request.end();
      const [response] = (await once(request, 'response')) as [IncomingMessage];
      assert.equal(response.statusCode, 413);
      response.resume();
      await once(response, 'end');
    });

    it('of 100 MB pass where the limit allows them', async () => {
      await probe.start(
        async (request) => {
          let bytes = 0;
          for await (const chunk of request.body ?? []) bytes += (chunk as Uint8Array).byteLength;
          return new Response(String(bytes));
        },
        { limits: { maxBodyBytes: 100 << 20 } },
      );
      assert.equal(
        (await probe.send('/t', { method: 'POST' }, Buffer.alloc(100 << 20))).text,
        String(100 << 20),
      );
    });

    it('are awaited only after the limit was checked when the client asks', async () => {
      await probe.start(echo, short({ maxBodyBytes: 10 }));
      const head =
        'POST /t HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\nconnection: close\r\ncontent-length: ';
      assert.match(await probe.raw(`${head}11\r\n\r\n`), /^HTTP\/1\.1 413 /);
      assert.match(
        await probe.raw(`${head}3\r\n\r\nabc`),
        /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 [^]*abc$/,
      );
    });

    it('that the handler does not want do not keep the connection from the next request', async () => {
      await probe.start(async (request) => {
        await request.body?.cancel();
        return new Response('no');
      });
      const agent = new Agent({ keepAlive: true, maxSockets: 1 });
      probe.opened.push({ close: () => agent.destroy() });
      const answers = [];
      for (let count = 0; count < 3; count += 1) {
        answers.push((await probe.send('/t', { method: 'POST', agent }, megabytes)).text);
      }
      assert.deepEqual(answers, ['no', 'no', 'no']);
    });

    it('end with an error for a handler that reads on after its answer', async () => {
      let body: ReadableStream<Uint8Array> | null = null;
      await probe.start((request) => {
        ({ body } = request);
        return new Response('early');
      });
      assert.equal((await probe.send('/t', { method: 'POST' }, megabytes)).text, 'early');
      await assert.rejects(new Response(body).text(), TypeError);
    });
  });
});
