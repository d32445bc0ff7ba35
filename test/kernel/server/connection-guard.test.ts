import assert from 'node:assert/strict';
import { connect } from 'node:http2';
import { createLogger } from '../../../kernel/logger.ts';
import { type GrpcLimits, withDefaultGrpcLimits } from '../../../kernel/server/connection-guard.ts';
import { GrpcServer } from '../../../kernel/server/grpc-server.ts';
import type { Target } from '../../../kernel/target.ts';
import {
  callHeaders,
  END_HEADERS,
  Frame,
  frameOf,
  headerBlock,
  messageFrame,
  numberFrame,
  RawClient,
} from '../../support/raw-http2.ts';
import { rawCall, until } from '../drills/processes.ts';

const MIB = 1024 * 1024;
const INITIAL_WINDOW_SIZE = 4;

/** Answers with as many bytes as the request says, or with messages without end. */
const target: Target = {
  unary: async (_path, request) =>
    Buffer.alloc(request.length === 4 ? Buffer.from(request).readUInt32BE() : 0, 'a'),
  async *stream(_path, _requests, call) {
    while (!call.signal.aborted) yield Buffer.alloc(100_000);
  },
};

describe('the guard of the gRPC listener', function () {
  this.timeout(30_000);
  let server: GrpcServer;
  let address: string;
  let lines: string[];
  const clients: RawClient[] = [];

  async function start(limits: Partial<GrpcLimits>): Promise<void> {
    lines = [];
    const log = createLogger({ format: 'json', write: (line) => lines.push(line) });
    const guarded = withDefaultGrpcLimits({ checkIntervalMs: 20, ...limits });
    const maxMessageBytes = 4 * MIB;
    server = new GrpcServer({ target, identify: () => undefined, maxMessageBytes, log, limits: guarded });
    server.expose('/t.T/Give', 'unary');
    server.expose('/t.T/Flow', 'server_streaming');
    server.expose('/t.T/Talk', 'bidi_streaming');
    address = await server.listen('127.0.0.1', 0);
  }

  const greet = async (settings: readonly (readonly [number, number])[] = []): Promise<RawClient> => {
    const client = await RawClient.greet(address, settings);
    clients.push(client);
    return client;
  };
  const open = (stream: number, path: string): Buffer =>
    frameOf(Frame.HEADERS, [END_HEADERS, stream], callHeaders(path));
  const size = (bytes: number): Buffer => {
    const request = Buffer.alloc(4);
    request.writeUInt32BE(bytes);
    return request;
  };
  const ended = (client: RawClient, id: number): Promise<void> => client.got(Frame.RST_STREAM, id);

  afterEach(async () => {
    assert.equal((await rawCall(address, '/t.T/Give', size(5))).bytes.length, 5);
    for (const client of clients.splice(0)) client.close();
    await server.close(100);
  });

  it('closes connections that do not greet, or with anything else than HTTP/2', async () => {
    await start({ greetingTimeoutMs: 50 });
    for (const words of ['', 'PRI * HT', 'GET / HTTP/1.1\r\nhost: localhost\r\n\r\n']) {
      const client = await RawClient.connect(address);
      client.send(Buffer.from(words));
      await client.closed();
    }
  });

  it('tells clients of HTTP/1 that they are wrong here', async () => {
    await start({});
    const answer = await fetch(`http://${address}/v2/health/live`);
    assert.equal(answer.status, 505);
    assert.match(
      await answer.text(),
      /^This port speaks gRPC over HTTP\/2; use a gRPC client, or the HTTP port/,
    );
  });

  it('closes connections on which no call comes, also when headers trickle in for ever', async () => {
    await start({ idleTimeoutMs: 100 });
    const [quiet, trickling, busy] = [await greet(), await greet(), await greet()];
    busy.send(open(1, '/t.T/Talk'));
    trickling.send(frameOf(Frame.HEADERS, [END_HEADERS, 1], callHeaders('/t.T/Give')).subarray(0, 20));
    const drops = setInterval(() => trickling.send(Buffer.from('a')), 10);
    await Promise.all([quiet.closed(), trickling.closed()]);
    clearInterval(drops);
    assert.equal(busy.socket.closed, false);
  });

  it('keeps connections whose calls come and go between two looks', async () => {
    await start({ idleTimeoutMs: 200, checkIntervalMs: 50 });
    const [quiet, busy] = [await greet(), await greet()];
    let stream = 1;
    const calls = setInterval(() => {
      busy.send(open(stream, '/t.T/Give'), messageFrame(stream, size(1)));
      stream += 2;
    }, 20);
    await quiet.closed();
    clearInterval(calls);
    assert.equal(busy.socket.closed, false);
  });

  it('lets go of connections after an error of their client, and of the calls on them', async () => {
    await start({ probeMs: 60 });
    const client = await greet();
    client.send(open(1, '/t.T/Talk'));
    client.send(Buffer.alloc(100, 0xff));
    await client.closed();
  });

  it('keeps connections whose clients answer a ping', async () => {
    await start({ probeMs: 40 });
    const session = connect(`http://${address}`);
    let pings = 0;
    session.on('ping', () => (pings += 1));
    await until('it was asked three times', () => pings >= 3);
    assert.equal(session.closed || session.destroyed, false);
    session.close();
  });

  it('closes what comes beyond the connections it takes, and takes others again later', async () => {
    await start({ maxConnections: 2 });
    const [first] = [await greet(), await greet()];
    const third = await greet();
    await third.closed();
    first.close();
    await until('a place is free', async () => (await rawCall(address, '/t.T/Give', size(1))).code === 0);
  });

  it('refuses calls beyond those that one connection may have at once', async () => {
    await start({ maxStreams: 3 });
    const client = await greet();
    for (const stream of [1, 3, 5, 7]) client.send(open(stream, '/t.T/Talk'));
    await ended(client, 7);
    assert.deepEqual(
      [1, 3, 5].filter((id) => client.has(Frame.RST_STREAM, id)),
      [],
    );
  });

  it('ends calls whose one request does not arrive, and no others', async () => {
    await start({ requestTimeoutMs: 60 });
    const client = await greet();
    client.send(open(1, '/t.T/Talk'), open(3, '/t.T/Give'), open(5, '/t.T/Flow'));
    client.send(frameOf(Frame.DATA, [0, 3], Buffer.from([0, 0, 0, 0, 9, 1])));
    await Promise.all([ended(client, 3), ended(client, 5)]);
    assert.equal(client.has(Frame.RST_STREAM, 1), false);
    assert.match(lines.join(''), /its request did not arrive.*"peer":"127\.0\.0\.1"/);
  });

  it('ends answers that are not read, and lets go of their memory', async () => {
    await start({ stallTimeoutMs: 60 });
    const client = await greet([[INITIAL_WINDOW_SIZE, 0]]);
    client.send(open(1, '/t.T/Give'), messageFrame(1, size(1_000)));
    client.send(open(3, '/t.T/Flow'), messageFrame(3, size(0)));
    await Promise.all([ended(client, 1), ended(client, 3)]);
    assert.match(lines.join(''), /its answer is not read/);
  });

  it('lets clients read slowly, message by message', async () => {
    await start({ stallTimeoutMs: 200 });
    const client = await greet([[INITIAL_WINDOW_SIZE, 0]]);
    client.send(open(1, '/t.T/Flow'), messageFrame(1, size(0)));
    const messageBytes = 100_005;
    await new Promise<void>((resolve) => {
      let granted = 0;
      const reading = setInterval(() => {
        for (const stream of [0, 1]) client.send(numberFrame(Frame.WINDOW_UPDATE, stream, messageBytes));
        granted += 1;
        if (granted < 100) return;
        clearInterval(reading);
        resolve();
      }, 50);
    });
    assert.equal(client.has(Frame.RST_STREAM, 1), false);
    await ended(client, 1);
  });

  it('holds one connection to what it may keep in memory, and all of them together', async () => {
    await start({ maxUnsentMib: 8, maxTotalUnsentMib: 12 });
    const hoard = async (): Promise<RawClient> => {
      const client = await greet([[INITIAL_WINDOW_SIZE, 0]]);
      for (let stream = 1; stream < 40; stream += 2) {
        client.send(open(stream, '/t.T/Give'), messageFrame(stream, size(4 * MIB)));
      }
      return client;
    };
    const all = await Promise.all(Array.from({ length: 5 }, hoard));
    await Promise.all(all.map((one) => ended(one, 39)));
    await until('the largest answers are given up', () => lines.join('').includes('too much memory'));
  });

  it('gives up the largest of the requests that never become complete, once they take too much memory', async () => {
    await start({ maxTotalRequestMib: 4 });
    const client = await greet();
    for (const stream of [1, 3, 5]) {
      const head = Buffer.alloc(5);
      head.writeUInt32BE(4 * MIB, 1);
      client.send(open(stream, '/t.T/Give'), frameOf(Frame.DATA, [0, stream], head));
      const part = frameOf(Frame.DATA, [0, stream], Buffer.alloc(16_000));
      for (let count = 0; count < 100 * (stream === 3 ? 2 : 1); count += 1) client.send(part);
    }
    await ended(client, 3);
    assert.match(lines.join(''), /requests that are not complete take too much memory/);
    assert.equal(client.has(Frame.RST_STREAM, 1) || client.has(Frame.RST_STREAM, 5), false);
  });

  it('tells nobody on stderr what is in the headers of clients', async () => {
    await start({});
    const written: string[] = [];
    const { write } = process.stderr;
    process.stderr.write = (text: string | Uint8Array): boolean => written.push(text.toString()) > 0;
    try {
      const client = await greet();
      const odd = callHeaders('/t.T/Give', [
        ['grpc-timeout', '\u00e9'],
        ['x', '\u00ff'],
      ]);
      client.send(frameOf(Frame.HEADERS, [END_HEADERS, 1], odd), messageFrame(1, size(1)));
      await client.got(Frame.HEADERS, 1);
    } finally {
      process.stderr.write = write;
    }
    assert.deepEqual(written, []);
  });

  it('bears 4,000 cancelled calls on one connection, and says goodbye to more than 10,000 at once', async () => {
    await start({ maxStreams: 5_000 });
    const client = await greet();
    const cancel = (count: number, from: number): void => {
      for (let id = from; id < from + 2 * count; id += 2) {
        client.send(open(id, '/t.T/Give'), numberFrame(Frame.RST_STREAM, id, 8));
      }
    };
    cancel(4_000, 1);
    client.send(open(9_001, '/t.T/Give'), messageFrame(9_001, size(1)));
    await client.got(Frame.HEADERS, 9_001);
    cancel(20_000, 10_001);
    await client.got(Frame.GOAWAY, 0);
    await client.closed();
  });

  it('ends a connection whose headers never end', async () => {
    await start({});
    const client = await greet();
    client.send(frameOf(Frame.HEADERS, [0, 1], callHeaders('/t.T/Give')));
    const more = frameOf(Frame.CONTINUATION, [0, 1], headerBlock([['x', 'y'.repeat(1_000)]]));
    const drops = setInterval(() => client.send(more), 1);
    await client.closed();
    clearInterval(drops);
  });
});
