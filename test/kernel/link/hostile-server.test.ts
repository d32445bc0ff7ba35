import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { ServerHttp2Session, ServerHttp2Stream } from 'node:http2';
import { LinkClient } from '../../../kernel/link/link-client.ts';
import { StatusError } from '../../../kernel/status-error.ts';
import { Code, DeclaredError } from '../../../sdk/index.ts';
import { plainServer, RawServer, socketFolder } from './server-fixture.ts';

type Answer = (stream: ServerHttp2Stream, session: ServerHttp2Session) => void;

const GRPC = { ':status': 200, 'content-type': 'application/grpc' };

function frame(text: string, flags = 0, length = text.length): Buffer {
  const head = Buffer.alloc(5);
  head[0] = flags;
  head.writeUInt32BE(length, 1);
  return Buffer.concat([head, Buffer.from(text)]);
}

/** Sends headers, data and, unless it is undefined, a trailer block. */
function answer(data: readonly Buffer[], trailers?: Record<string, string>): Answer {
  return (stream) => {
    stream.respond(GRPC, { waitForTrailers: true });
    stream.on('wantTrailers', () => {
      if (trailers === undefined) stream.close();
      else stream.sendTrailers(trailers);
    });
    for (const piece of data) stream.write(piece);
    stream.end();
  };
}

describe('LinkClient against a server that breaks the rules', () => {
  let folder: Awaited<ReturnType<typeof socketFolder>>;
  let server: RawServer | undefined;
  let client: LinkClient | undefined;

  beforeEach(async () => {
    folder = await socketFolder();
  });

  afterEach(async () => {
    await client?.close();
    await server?.stop();
    client = undefined;
    server = undefined;
    await folder.remove();
  });

  async function serve(handle: Answer): Promise<LinkClient> {
    server = new RawServer(handle);
    await server.listen(folder.socketPath);
    client = await LinkClient.connect({ socketPath: folder.socketPath });
    return client;
  }

  async function failureOf(handle: Answer): Promise<StatusError | DeclaredError> {
    const link = await serve(handle);
    try {
      await link.unary('/t.T/M', Buffer.from('x'));
    } catch (error) {
      assert.ok(error instanceof StatusError || error instanceof DeclaredError);
      return error;
    }
    throw new assert.AssertionError({ message: 'the call went well' });
  }

  const broken: readonly (readonly [string, Answer, RegExp])[] = [
    ['no message', answer([], { 'grpc-status': '0' }), /no message/],
    ['two messages', answer([frame('a'), frame('b')], { 'grpc-status': '0' }), /more than one message/],
    ['a message that is cut off', answer([frame('abc', 0, 10)], { 'grpc-status': '0' }), /cut off/],
    ['half a prefix', answer([Buffer.from([0, 0])], { 'grpc-status': '0' }), /cut off/],
    ['a compressed message', answer([frame('a', 1)], { 'grpc-status': '0' }), /flags 1/],
    ['a status that is no number', answer([frame('a')], { 'grpc-status': 'fine' }), /not a status code/],
    ['a status out of range', answer([frame('a')], { 'grpc-status': '99' }), /not a status code/],
    ['trailers without a status', answer([frame('a')], { 'x-other': '0' }), /no grpc-status/],
    ['no trailers', answer([frame('a')]), /without a status/],
    [
      'another content type',
      (stream) => {
        stream.respond({ ':status': 200, 'content-type': `text/html${'x'.repeat(200)}` });
        stream.end('<html>');
      },
      /content type is 'text\/html/,
    ],
    [
      'no content type',
      (stream) => {
        stream.respond({ ':status': 200 });
        stream.end();
      },
      /content type is ''/,
    ],
  ];
  for (const [what, handle, wording] of broken) {
    it(`calls an answer with ${what} broken`, async () => {
      const error = await failureOf(handle);
      assert.equal((error as DeclaredError).reason, 'LINK_PROTOCOL_BROKEN');
      assert.match(error.message, wording);
    });
  }

  it('refuses a message whose length alone is over the limit before its bytes come', async () => {
    const error = await failureOf((stream) => {
      stream.respond(GRPC);
      stream.write(frame('', 0, 0xffff_fff0));
    });
    assert.equal((error as DeclaredError).reason, 'LINK_MESSAGE_TOO_LARGE');
  });

  it('takes a status that comes without any answer', async () => {
    const error = await failureOf((stream) => {
      stream.respond(
        { ...GRPC, 'grpc-status': '16', 'grpc-message': 'who%20are%20you' },
        { endStream: true },
      );
    });
    assert.deepEqual([error.code, error.message], [Code.UNAUTHENTICATED, 'who are you']);
  });

  it('keeps a message text that is not percent-encoded', async () => {
    const error = await failureOf(answer([], { 'grpc-status': '5', 'grpc-message': '100 % bad %zz' }));
    assert.deepEqual([error.code, error.message], [Code.NOT_FOUND, '100 % bad %zz']);
  });

  it('takes a message that comes in single bytes', async () => {
    const whole = frame('hello');
    const link = await serve((stream) => {
      stream.respond(GRPC, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
      const send = (index: number): void => {
        if (index === whole.length) stream.end();
        else stream.write(whole.subarray(index, index + 1), () => send(index + 1));
      };
      send(0);
    });
    const { message } = await link.unary('/t.T/M', Buffer.from('x'));
    assert.equal(Buffer.from(message).toString(), 'hello');
  });

  const httpCodes: readonly (readonly [number, Code])[] = [
    [400, Code.INTERNAL],
    [401, Code.UNAUTHENTICATED],
    [403, Code.PERMISSION_DENIED],
    [404, Code.UNIMPLEMENTED],
    [429, Code.UNAVAILABLE],
    [503, Code.UNAVAILABLE],
    [418, Code.UNKNOWN],
  ];
  for (const [status, code] of httpCodes) {
    it(`maps HTTP status ${status} to gRPC status ${code}`, async () => {
      const error = await failureOf((stream) => {
        stream.respond({ ':status': status });
        stream.end('page');
      });
      assert.equal(error.code, code);
      assert.match(error.message, new RegExp(`HTTP status ${status}`));
    });
  }

  const resets: readonly (readonly [number, Code])[] = [
    [2, Code.INTERNAL],
    [8, Code.CANCELLED],
    [11, Code.RESOURCE_EXHAUSTED],
    [12, Code.PERMISSION_DENIED],
  ];
  for (const [reset, code] of resets) {
    it(`maps a reset with HTTP/2 error ${reset} to gRPC status ${code}`, async () => {
      const error = await failureOf((stream) => stream.close(reset));
      assert.equal(error.code, code);
    });
  }

  it('tries a call once more that the server refused to begin', async () => {
    let calls = 0;
    const link = await serve((stream, session) => {
      calls += 1;
      if (calls === 1) stream.close(7);
      else answer([frame('second')], { 'grpc-status': '0' })(stream, session);
    });
    const { message } = await link.unary('/t.T/M', Buffer.from('x'));
    assert.equal(Buffer.from(message).toString(), 'second');
  });

  it('gives up on a call that is refused twice', async () => {
    const error = await failureOf((stream) => stream.close(7));
    assert.deepEqual([(error as DeclaredError).reason, error.code], ['LINK_REFUSED', Code.UNAVAILABLE]);
  });

  it('connects anew after the connection is lost, and fails only the calls that ran on it', async () => {
    let calls = 0;
    const link = await serve((stream, session) => {
      calls += 1;
      if (calls === 1) session.destroy();
      else answer([frame('again')], { 'grpc-status': '0' })(stream, session);
    });
    await assert.rejects(
      link.unary('/t.T/M', Buffer.from('x')),
      (error: unknown) => error instanceof DeclaredError && error.reason === 'LINK_LOST',
    );
    const { message } = await link.unary('/t.T/M', Buffer.from('x'));
    assert.equal(Buffer.from(message).toString(), 'again');
  });

  it('moves new calls to a new connection when the server announces the end of the old one', async () => {
    const sessions: ServerHttp2Session[] = [];
    const waiting: ServerHttp2Stream[] = [];
    const ok = answer([frame('ok')], { 'grpc-status': '0' });
    const link = await serve((stream, session) => {
      if (!sessions.includes(session)) sessions.push(session);
      if (waiting.length === 0) {
        waiting.push(stream);
        session.goaway(0, stream.id ?? 0);
      } else ok(stream, session);
    });
    const old = link.unary('/t.T/M', Buffer.from('x'));
    while (waiting.length === 0) await new Promise((resolve) => setImmediate(resolve));
    let onSecond = 0;
    while (sessions.length < 2) {
      await link.unary('/t.T/M', Buffer.from('x'));
      onSecond += 1;
    }
    const [first] = waiting;
    const [session] = sessions;
    assert.ok(first !== undefined && session !== undefined && onSecond > 0);
    ok(first, session);
    assert.equal(Buffer.from((await old).message).toString(), 'ok');
  });

  it('does not connect to a server that speaks no HTTP/2', async () => {
    const plain = await plainServer(folder.socketPath, (socket) => socket.end('HTTP/1.1 200 OK\r\n\r\n'));
    await assert.rejects(
      LinkClient.connect({ socketPath: folder.socketPath }),
      (error: unknown) => error instanceof DeclaredError && error.reason === 'LINK_UNREACHABLE',
    );
    plain.close();
  });

  it('does not wait for ever for a server that says nothing', async () => {
    const plain = await plainServer(folder.socketPath, () => undefined);
    await assert.rejects(
      LinkClient.connect({ socketPath: folder.socketPath }, { connectTimeoutMs: 20 }),
      /no HTTP\/2 settings came within 20 ms/,
    );
    plain.close();
  });

  it('fails the running call when garbage comes in the middle, and closes when nobody listens any more', async () => {
    const emptySettings = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]);
    const plain = await plainServer(folder.socketPath, (socket) => {
      socket.write(emptySettings);
      let receivedBytes = 0;
      socket.on('data', (chunk) => {
        receivedBytes += chunk.length;
        // Only the call's own message makes it that much.
        if (receivedBytes < 5_000) return;
        plain.close();
        socket.end(Buffer.alloc(4_096, 0xa5));
      });
    });
    client = await LinkClient.connect({ socketPath: folder.socketPath }, { probeIntervalMs: 40 });
    await assert.rejects(
      client.unary('/t.T/M', Buffer.alloc(5_000)),
      (error: unknown) => error instanceof DeclaredError && error.reason === 'LINK_LOST',
    );
    await client.closed;
  });

  it('keeps a quiet connection that answers its probes', async () => {
    server = new RawServer(answer([frame('ok')], { 'grpc-status': '0' }));
    await server.listen(folder.socketPath);
    client = await LinkClient.connect({ socketPath: folder.socketPath }, { probeIntervalMs: 200 });
    const [session] = server.sessions;
    assert.ok(session !== undefined);
    for (let probes = 0; probes < 4; probes += 1) await once(session, 'remoteSettings');
    await client.unary('/t.T/M', Buffer.from('x'));
    assert.deepEqual([...server.sessions], [session]);
  });
});
