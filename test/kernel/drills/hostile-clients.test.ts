import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect as connectHttp2 } from 'node:http2';
import { gzipSync } from 'node:zlib';
import { startTestKernel, type TestKernel } from '../../../sdk/testing/index.ts';
import { copyEcho, type EchoPlugin } from '../../support/echo-plugin.ts';
import {
  callHeaders,
  END_HEADERS,
  END_STREAM,
  Frame,
  frameOf,
  headerBlock,
  messageFrame,
  numberFrame,
  RawClient,
} from '../../support/raw-http2.ts';
import { rawCall, textMessage, until } from './processes.ts';

const SAY = '/echo.v1.EchoService/Say';
const CANCEL = 8;
const MIB = 1024 * 1024;
const odd = (count: number): number[] => Array.from({ length: count }, (_, index) => 2 * index + 1);

const headersOf = (id: number, path = SAY, flags = END_HEADERS): Buffer =>
  frameOf(Frame.HEADERS, [flags, id], callHeaders(path));
const html = headerBlock([
  [':method', 'POST'],
  [':scheme', 'http'],
  [':path', SAY],
  ['content-type', 'text/html'],
]);

/** What a client may do to its own connection; none of it may reach that of another. */
const ATTACKS: Readonly<Record<string, (client: RawClient) => void>> = {
  'cancels 4,000 calls at once': (client) => {
    for (const id of odd(4_000)) client.send(headersOf(id), numberFrame(Frame.RST_STREAM, id, CANCEL));
  },
  'cancels calls of methods that there are not': (client) => {
    for (const id of odd(900))
      client.send(headersOf(id, '/no/Such'), numberFrame(Frame.RST_STREAM, id, CANCEL));
  },
  'cancels calls that are no gRPC': (client) => {
    for (const id of odd(900)) {
      client.send(frameOf(Frame.HEADERS, [END_HEADERS, id], html), numberFrame(Frame.RST_STREAM, id, CANCEL));
    }
  },
  'has its calls reset by errors that it makes (MadeYouReset)': (client) => {
    for (const id of odd(2_000)) client.send(headersOf(id), numberFrame(Frame.WINDOW_UPDATE, id, 0));
  },
  'asks for a million pings and reads no answer': (client) => {
    client.socket.pause();
    const pings = Buffer.concat(
      Array.from({ length: 10_000 }, () => frameOf(Frame.PING, [0, 0], Buffer.alloc(8))),
    );
    for (let round = 0; round < 100; round += 1) client.send(pings);
  },
  'changes its settings without end': (client) => {
    client.socket.pause();
    const settings = Buffer.concat(Array.from({ length: 100_000 }, () => frameOf(Frame.SETTINGS, [0, 0])));
    client.send(settings);
  },
  'sends garbage after its greeting': (client) => client.send(Buffer.alloc(100_000, 0xff)),
  'sends frames of types that there are not': (client) => {
    for (let round = 0; round < 5_000; round += 1)
      client.send(frameOf(0xee, [0xff, 0x7fffffff], Buffer.alloc(50)));
  },
  'says goodbye and calls on': (client) =>
    client.send(frameOf(Frame.GOAWAY, [0, 0], Buffer.alloc(8)), headersOf(1, SAY, END_HEADERS | END_STREAM)),
  'sends header names without end': (client) => {
    const many = Array.from({ length: 2_000 }, (_, index): [string, string] => [`x-${index}`, 'v']);
    client.send(frameOf(Frame.HEADERS, [END_HEADERS, 1], callHeaders(SAY, many).subarray(0, 16_000)));
  },
  'sends empty frames without end': (client) => {
    client.send(headersOf(1));
    for (let round = 0; round < 50_000; round += 1) client.send(frameOf(Frame.DATA, [0, 1]));
  },
  'goes in the middle of its calls': (client) => {
    for (const id of odd(100)) client.send(headersOf(id));
    client.close();
  },
};

describe('drill: hostile clients', function () {
  this.timeout(60_000);
  let kernel: TestKernel;
  let plugin: EchoPlugin;
  let address: string;
  const clients: RawClient[] = [];

  before(async () => {
    plugin = await copyEcho();
    kernel = await startTestKernel({ plugins: [plugin.directory], config: { maxMessageBytes: 4 * MIB } });
    address = kernel.addresses.grpc;
  });

  after(async () => {
    await kernel.stop();
    await plugin.remove();
  });

  afterEach(() => {
    for (const client of clients.splice(0)) client.close();
  });

  const greet = async (): Promise<RawClient> => {
    const client = await RawClient.greet(address);
    clients.push(client);
    return client;
  };

  /** A client on a connection of its own, whose calls are counted. */
  async function innocent(during: () => Promise<void>): Promise<{ answers: number; failures: string[] }> {
    const failures: string[] = [];
    let answers = 0;
    let isOver = false;
    const calling = (async () => {
      while (!isOver) {
        const { code, text } = await rawCall(address, SAY, textMessage('x'));
        if (code === 0) answers += 1;
        else failures.push(`${code}: ${text}`);
      }
    })();
    await during();
    const atEnd = answers;
    await until('calls are answered afterwards', () => answers > atEnd + 1 || failures.length > 0);
    isOver = true;
    await calling;
    return { answers, failures };
  }

  for (const [what, attack] of Object.entries(ATTACKS)) {
    it(`one that ${what} harms no other connection`, async () => {
      const { failures } = await innocent(async () => {
        const client = await greet();
        attack(client);
        await new Promise((resolve) => client.socket.write('', resolve));
      });
      assert.deepEqual(failures, []);
    });
  }

  it('a hundred that cancel calls in turn leave nothing in the memory', async () => {
    const round = async (): Promise<number> => {
      await Promise.all(
        Array.from({ length: 100 }, async (): Promise<void> => {
          const client = await greet();
          for (const id of odd(40)) client.send(headersOf(id), numberFrame(Frame.RST_STREAM, id, CANCEL));
          // Answered when all before it has been read.
          client.send(headersOf(81), messageFrame(81, textMessage('x')));
          await client.got(Frame.HEADERS, 81);
          client.close();
          await client.closed();
        }),
      );
      clients.splice(0);
      globalThis.gc?.();
      const { heapUsed, external } = process.memoryUsage();
      return heapUsed + external;
    };
    await round();
    const before = await round();
    const after = Math.min(await round(), await round());
    assert.ok(after - before < 16 * MIB, `${((after - before) / MIB).toFixed(1)} MiB more`);
  });

  /** Status of a call whose bytes are of our choice. */
  async function statusOf(message: Buffer, encoding = 'gzip'): Promise<string> {
    const session = connectHttp2(`http://${address}`);
    const stream = session.request({
      ':method': 'POST',
      ':path': SAY,
      'content-type': 'application/grpc',
      te: 'trailers',
      'grpc-encoding': encoding,
    });
    let status = '';
    stream.on('response', (headers) => (status = String(headers['grpc-status'] ?? status)));
    stream.on('trailers', (trailers) => (status = String(trailers['grpc-status'])));
    stream.on('error', () => undefined);
    stream.resume();
    stream.end(message);
    await once(stream, 'close');
    session.destroy();
    return status;
  }

  const compressed = (bytes: Buffer): Buffer => messageFrame(1, bytes, [1]).subarray(9);

  it('one that says its message has 4 GiB is refused before a byte of it', async () => {
    assert.equal(await statusOf(messageFrame(1, Buffer.alloc(0), [0, 0xffff_ffff]).subarray(9)), '8');
  });

  it('one whose small message becomes a large one is refused at the limit', async () => {
    assert.equal(await statusOf(compressed(gzipSync(Buffer.alloc(0)))), '0');
    const bomb = compressed(gzipSync(Buffer.alloc(64 * MIB)));
    const before = process.memoryUsage().rss;
    const codes = await Promise.all(Array.from({ length: 10 }, () => statusOf(bomb)));
    assert.deepEqual([...new Set(codes)], ['8']);
    assert.ok(process.memoryUsage().rss - before < 256 * MIB);
  });

  it('one whose message is not compressed as it says, or in a way nobody knows, is refused', async () => {
    assert.equal(await statusOf(compressed(Buffer.from('no gzip'))), '13');
    assert.equal(await statusOf(compressed(gzipSync('x').subarray(0, 12))), '13');
    assert.equal(await statusOf(compressed(gzipSync('x')), 'constructor'), '12');
  });
});
