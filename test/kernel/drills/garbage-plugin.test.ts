import assert from 'node:assert/strict';
import { startTestKernel, type TestKernel } from '../../../sdk/testing/index.ts';
import { makeTextPlugin, type TextPlugin } from '../../support/text-plugin.ts';
import { processesWith, rawCall, textMessage, until } from './processes.ts';

const ID = 'example.shout';

/** A plugin that speaks HTTP/2 by hand and does what the text of the request says. */
const PROGRAM = `
const http2 = require('node:http2');
const GRPC = { ':status': 200, 'content-type': 'application/grpc' };
const frame = (body, length = body.length, flags = 0) => {
  const head = Buffer.alloc(5);
  head[0] = flags;
  head.writeUInt32BE(length, 1);
  return Buffer.concat([head, body]);
};
const text = (words) => Buffer.concat([Buffer.from([10, words.length]), Buffer.from(words)]);
const reply = (stream, pieces, trailers, headers = GRPC) => {
  stream.respond(headers, { waitForTrailers: true });
  stream.on('wantTrailers', () => (trailers === undefined ? stream.close() : stream.sendTrailers(trailers)));
  for (const piece of pieces) stream.write(piece);
  stream.end();
};
const OK = { 'grpc-status': '0' };
const flood = (stream) => {
  stream.respond(GRPC);
  const block = frame(text('x'.repeat(100)));
  const many = Buffer.concat(Array.from({ length: 500 }, () => block));
  const next = () => { while (!stream.destroyed && stream.write(many)); };
  stream.on('drain', next);
  next();
};
const ACTIONS = {
  ok: (stream) => reply(stream, [frame(text('fine'))], OK),
  short: (stream) => reply(stream, [frame(Buffer.from('abc'), 1000)], OK),
  claim: (stream) => { stream.respond(GRPC); stream.write(frame(Buffer.alloc(0), 0xfffffff0)); },
  flags: (stream) => reply(stream, [frame(text('a'), 3, 1)], OK),
  nostatus: (stream) => reply(stream, [frame(text('a'))], { 'x-other': '1' }),
  badstatus: (stream) => reply(stream, [frame(text('a'))], { 'grpc-status': '-1' }),
  notrailers: (stream) => reply(stream, [frame(text('a'))]),
  html: (stream) => { stream.respond({ ':status': 200, 'content-type': 'text/html' }); stream.end('<html>'); },
  headers: (stream) => reply(stream, [], OK, { ...GRPC, 'x-huge': 'h'.repeat(100000) }),
  manyheaders: (stream) => reply(stream, [], OK,
    { ...GRPC, ...Object.fromEntries(Array.from({ length: 5000 }, (_, n) => ['x-' + n, 'v'])) }),
  lines: (stream) => reply(stream, [], { 'grpc-status': '5', 'grpc-message': 'a%0d%0ab%00%1b[31m%ff' }),
  endless: flood,
  oddheader: (stream) => reply(stream, [frame(text('a'))], OK, { ...GRPC, 'x-odd': 'caf\xe9' }),
  oddtrailer: (stream) => reply(stream, [frame(text('a'))], { ...OK, 'x-odd': 'caf\xe9', 'x-bin': '\xe9' }),
  oddstatus: (stream) => reply(stream, [], { 'grpc-status': '5', 'grpc-message': 'caf\xe9', 'x-odd': '\xe9' }),
  reset: (stream) => stream.close(2),
  refused: (stream) => stream.close(7),
  lost: (stream) => stream.session.destroy(),
  goaway: (stream) => { stream.session.goaway(11); reply(stream, [frame(text('a'))], OK); },
  noproto: (stream) => reply(stream, [frame(Buffer.from([255, 255, 255]))], OK),
  details: (stream) => reply(stream, [], { 'grpc-status': '3', 'grpc-status-details-bin': '!!!not-base64' }),
};
const server = http2.createServer({ maxSendHeaderBlockLength: 1 << 20 });
server.on('sessionError', () => undefined);
server.on('session', (session) => session.on('error', () => undefined));
server.on('stream', (stream, headers) => {
  stream.on('error', () => undefined);
  if (headers[':path'].endsWith('/Check')) return reply(stream, [frame(Buffer.from([8, 1]))], OK);
  const chunks = [];
  stream.on('data', (chunk) => chunks.push(chunk));
  stream.on('end', () => {
    const words = Buffer.concat(chunks).subarray(7).toString();
    try { (ACTIONS[words] ?? ACTIONS.ok)(stream); } catch (error) { console.error(error); stream.close(2); }
  });
});
process.stdin.resume().once('end', () => process.exit(0));
process.once('SIGTERM', () => process.exit(0));
server.listen(process.env.LAMELLA_PLUGIN_SOCKET);
`;

/** What the caller is told, by what the plugin answers: gRPC code and words. */
const ANSWERS: Readonly<Record<string, readonly [codes: readonly number[], text: RegExp]>> = {
  short: [[13], /plugin 'example\.shout'.*cut off/],
  claim: [[8], /4294967280 bytes is over the limit/],
  flags: [[13], /plugin 'example\.shout'.*flags 1/],
  nostatus: [[13], /plugin 'example\.shout'.*no grpc-status/],
  badstatus: [[13], /plugin 'example\.shout'.*not a status code/],
  notrailers: [[13], /plugin 'example\.shout'.*without a status/],
  html: [[13], /plugin 'example\.shout'.*text\/html/],
  headers: [[8, 13, 14], /plugin 'example\.shout'/],
  manyheaders: [[8, 13, 14], /plugin 'example\.shout'/],
  lines: [[5], /^a/],
  endless: [[13], /plugin 'example\.shout'.*more than one message/],
  oddheader: [[0], /^$/],
  oddtrailer: [[0], /^$/],
  oddstatus: [[5], /^caf/],
  reset: [[13], /plugin 'example\.shout'|HTTP\/2 error/],
  refused: [[14], /plugin 'example\.shout' takes no further calls/],
  lost: [[14], /plugin 'example\.shout'/],
  goaway: [[0, 13, 14], /^$|plugin 'example\.shout'/],
  noproto: [[0], /^$/],
  details: [[3], /^/],
};

describe('drill: a plugin that answers garbage', function () {
  this.timeout(60_000);
  let kernel: TestKernel;
  let plugin: TextPlugin;

  before(async () => {
    plugin = await makeTextPlugin();
    await plugin.put('program.cjs', PROGRAM);
    const config = { plugins: { [ID]: { circuitBreaker: { minimumCalls: 0 } } } };
    kernel = await startTestKernel({ plugins: [plugin.directory], config });
  });

  after(async () => {
    await kernel.stop();
    await plugin.remove();
    assert.deepEqual(await processesWith(plugin.directory), []);
  });

  const shout = (text: string): ReturnType<typeof rawCall> =>
    rawCall(kernel.addresses.grpc, '/text.v1.ShoutService/Shout', textMessage(text));

  for (const [action, [codes, words]] of Object.entries(ANSWERS)) {
    it(`with ${action} costs that call only, and the caller learns whose fault it was`, async () => {
      const { code, text } = await shout(action);
      assert.ok(codes.includes(code), `${code}: ${text}`);
      assert.match(text, words);
      assert.doesNotMatch(text, /plugin\.sock/);
      const next = await shout('ok');
      assert.deepEqual([next.code, next.bytes.subarray(2).toString()], [0, 'fine'], next.text);
      const { state, restarts } = kernel.describe(ID);
      assert.deepEqual([state, restarts], ['ACTIVE', 0]);
    });
  }

  it('for a thousand calls leaves nothing in the memory', async function () {
    this.timeout(240_000);
    const round = async (): Promise<number> => {
      for (let index = 0; index < 40; index += 1) {
        await Promise.all(['short', 'claim', 'endless', 'html', 'reset'].map(shout));
      }
      globalThis.gc?.();
      return process.memoryUsage().rss;
    };
    await round();
    await round();
    const before = await round();
    const after = Math.min(await round(), await round());
    assert.ok(after - before < 24 * 2 ** 20, `${((after - before) / 2 ** 20).toFixed(1)} MiB more`);
    // The plugin's own HTTP/2 server ends connections on which so many calls were cancelled.
    await until('it serves again', async () => (await shout('ok')).code === 0);
  });
});

describe('drill: a plugin that does not get healthy', function () {
  this.timeout(60_000);
  const net = (onSocket: string): string =>
    `require('node:net').createServer((socket) => { socket.on('error', () => undefined); ${onSocket} })
      .listen(process.env.LAMELLA_PLUGIN_SOCKET); process.stdin.resume();`;
  /** What programs that never get healthy get; others get the time that a busy machine needs to start them. */
  const SHORT = '0.4s';
  const programs: Readonly<Record<string, readonly [program: string, reason: RegExp, limit?: string]>> = {
    'never listens': ['setInterval(() => undefined, 1000)', /not healthy within 400 ms.*does not listen/],
    'listens and says nothing': [net(''), /not healthy within 400 ms/],
    'speaks HTTP/1': [net("socket.end('HTTP/1.1 200 OK\\r\\n\\r\\n');"), /not healthy within 400 ms/],
    'says it is not serving': [
      PROGRAM.replace('[8, 1]', '[8, 2]'),
      /not healthy within 8000 ms.*does not answer SERVING/,
      '8s',
    ],
    'never answers the check': [
      PROGRAM.replace('return reply(stream, [frame(Buffer.from([8, 1]))], OK)', 'return'),
      /not healthy within 400 ms/,
    ],
    'ends at once': ['process.exit(3)', /ended before it was ready \(exit code 3\)/, '30s'],
    'ignores SIGTERM': [
      "process.on('SIGTERM', () => undefined); setInterval(() => undefined, 1000)",
      /not healthy within 400 ms/,
    ],
    'leaves a child behind': [
      `require('node:child_process').spawn(process.execPath,
        ['-e', 'setInterval(() => undefined, 1000)', process.cwd()], { stdio: 'ignore' }); process.exit(4);`,
      /ended before it was ready \(exit code 4\)/,
      '30s',
    ],
  };
  for (const [what, [program, reason, limit = SHORT]] of Object.entries(programs)) {
    it(`because it ${what} is refused by name and reason, and no process is left`, async () => {
      const plugin = await makeTextPlugin();
      await plugin.put('program.cjs', program);
      await plugin.setManifest({ probes: { startTimeout: limit } });
      const kernel = await startTestKernel({ plugins: [] });
      await assert.rejects(kernel.load(plugin.directory), (error: Error) => {
        assert.match(error.message, /'example\.shout' did not start/);
        assert.match(error.message, reason);
        return true;
      });
      await until('every process is gone', async () => (await processesWith(plugin.directory)).length === 0);
      await kernel.stop();
      await plugin.remove();
    });
  }
});
