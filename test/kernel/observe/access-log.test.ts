import assert from 'node:assert/strict';
import { mkdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { create, toBinary } from '@bufbuild/protobuf';
import {
  EchoService,
  RepeatRequestSchema,
  SayRequestSchema,
} from '../../../examples/echo/gen/echo/v1/echo_service_pb.ts';
import { PluginService } from '../../../proto/gen/lamella/kernel/v1/plugin_service_pb.ts';
import { LinkClient } from '../../../kernel/link/link-client.ts';
import { startTestKernel, type TestKernel } from '../../../sdk/testing/index.ts';
import { copyEcho, type EchoPlugin } from '../../support/echo-plugin.ts';

const SAY = '/echo.v1.EchoService/Say';
const REPEAT = '/echo.v1.EchoService/Repeat';
const TRACE_ID = '0af7651916cd43dd8448eb211c80319c';

type Line = Readonly<Record<string, unknown>>;

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

const repeat = (count: number): Uint8Array =>
  toBinary(RepeatRequestSchema, create(RepeatRequestSchema, { payload: Buffer.alloc(64 * 1024), count }));

describe('the access log', function () {
  this.timeout(30_000);
  let kernel: TestKernel;
  let plugin: EchoPlugin;
  let link: LinkClient;

  before(async () => {
    plugin = await copyEcho();
    await plugin.useHttpPlugin();
  });

  after(() => plugin.remove());

  afterEach(async () => {
    await link.close();
    await kernel.stop();
  });

  async function start(accessLog: Line, more: Line = {}): Promise<void> {
    kernel = await startTestKernel({ plugins: [plugin.directory], config: { accessLog, ...more } });
    const [host = '', port = ''] = kernel.addresses.grpc.split(':');
    link = await LinkClient.connect({ host, port: Number(port) });
  }

  const file = (): string => path.join(kernel.home, 'access.jsonl');

  async function text(): Promise<string> {
    return readFile(file(), 'utf8').catch(() => '');
  }

  async function textOfLines(count: number): Promise<string> {
    for (;;) {
      const written = await text();
      if (written.split('\n').length > count) return written;
      await new Promise(setImmediate);
    }
  }

  /** The first lines of a method, once they are written. */
  async function lines(method: string, count = 1): Promise<Line[]> {
    for (;;) {
      const all = (await text()).split('\n').filter((line) => line !== '');
      const found = all.map((line) => JSON.parse(line) as Line).filter((line) => line['method'] === method);
      if (found.length >= count) return found;
      await new Promise(setImmediate);
    }
  }

  const say = (payload: string, headers: readonly (readonly [string, string])[] = []) =>
    link.unary(SAY, toBinary(SayRequestSchema, create(SayRequestSchema, { payload: Buffer.from(payload) })), {
      headers: new Map(headers),
      deadlineMs: Date.now() + 60_000,
    });

  it('has one line for a call, with who, where, what and how long', async () => {
    await start({ calls: 'all' });
    await say('hello', [
      ['x-request-id', 'request-1'],
      ['traceparent', `00-${TRACE_ID}-b7ad6b7169203331-01`],
      ['authorization', 'Bearer not-ours'],
    ]);
    const [line] = await lines(SAY);
    const { time, durationMs, deadlineLeftMs, peer, responseBytes, ...rest } = line ?? {};
    assert.deepEqual(rest, {
      principal: 'anonymous',
      protocol: 'grpc',
      plugin: 'example.echo',
      version: '0.1.0',
      isolation: 'INLINE',
      method: SAY,
      code: 'OK',
      requestMessages: 1,
      requestBytes: 7,
      responseMessages: 1,
      requestId: 'request-1',
      traceId: TRACE_ID,
    });
    assert.ok(Number(responseBytes) > 7 && Number(durationMs) > 0);
    assert.ok(Number(deadlineLeftMs) > 0 && Number(deadlineLeftMs) <= 60_000);
    assert.match(String(peer), /^127\.0\.0\.1:\d+$/);
    assert.ok(Math.abs(Date.parse(String(time)) - Date.now()) < 60_000);
    assert.ok(!(await text()).includes('not-ours'));
  });

  it('counts the messages of a stream, and says who ended one', async () => {
    await start({ calls: 'all' });
    for await (const _answer of link.stream(REPEAT, once(repeat(3)), {}));
    for await (const _answer of link.stream(REPEAT, once(repeat(100_000)), {})) break;
    const [whole, left] = await lines(REPEAT, 2);
    assert.deepEqual(
      [whole?.['code'], whole?.['requestMessages'], whole?.['responseMessages'], whole?.['cancelledBy']],
      ['OK', 1, 3, undefined],
    );
    assert.ok(Number(whole?.['responseBytes']) > 3 * 64 * 1024);
    assert.deepEqual([left?.['code'], left?.['cancelledBy']], ['CANCELLED', 'caller']);
  });

  it('says that a deadline ended a call', async () => {
    await start({ calls: 'errors' });
    const request = toBinary(SayRequestSchema, create(SayRequestSchema, { delayMs: 60_000 }));
    await assert.rejects(link.unary(SAY, request, { deadlineMs: Date.now() + 100 }));
    const [line] = await lines(SAY);
    assert.deepEqual(line?.['responseMessages'], 0);
    assert.ok(
      // Whose clock was first: the caller gives up at the same moment.
      ['DEADLINE_EXCEEDED deadline', 'CANCELLED caller'].includes(
        `${String(line?.['code'])} ${String(line?.['cancelledBy'])}`,
      ),
      JSON.stringify(line),
    );
  });

  it('has calls over HTTP too', async () => {
    await start({ calls: 'all' });
    const url = `http://${kernel.addresses.http}/t/echo?key=secret`;
    await (await fetch(url, { method: 'POST', body: 'four', headers: { 'x-request-id': 'r-2' } })).text();
    const [line] = await lines('POST /t/echo');
    const { time: _, durationMs, peer, ...rest } = line ?? {};
    assert.deepEqual(rest, {
      principal: 'anonymous',
      protocol: 'http',
      plugin: 'example.echo',
      version: '0.1.0',
      isolation: 'INLINE',
      method: 'POST /t/echo',
      httpStatus: 201,
      requestBytes: 4,
      responseBytes: 4,
      requestId: 'r-2',
    });
    assert.ok(Number(durationMs) > 0);
    assert.match(String(peer), /:\d+$/);
  });

  it('holds calls that access control refused, with the reason', async () => {
    await start({ calls: 'errors' }, { access: { anonymous: 'none' } });
    await assert.rejects(say('x'));
    await fetch(`http://${kernel.addresses.http}/t/echo`);
    for (const method of [SAY, 'GET /t/echo']) {
      const [line] = await lines(method);
      assert.deepEqual(
        [line?.['principal'], line?.['reason'], line?.['code'] ?? line?.['httpStatus']],
        ['unknown', 'CREDENTIALS_REQUIRED', method === SAY ? 'UNAUTHENTICATED' : 401],
      );
    }
  });

  it('holds only failures when asked to, and calls between plugins by the name of the caller', async () => {
    await start({ calls: 'errors' });
    await say('fine');
    await assert.rejects(kernel.call(EchoService).say({ delayMs: 60_000 }, { timeoutMs: 50 }));
    const [line, ...more] = await lines(SAY);
    assert.deepEqual(
      [line?.['principal'], line?.['code'], line?.['cancelledBy'], line?.['requestBytes'], more],
      ['plugin:kernel', 'DEADLINE_EXCEEDED', 'deadline', undefined, []],
    );
  });

  it('holds a share of the calls that went well, and every one that failed', async () => {
    await start({ calls: 'all', sampleRatio: 0 });
    for (let count = 0; count < 20; count += 1) await say('fine');
    await assert.rejects(link.unary(SAY, Buffer.from([0xff]), {}));
    const found = await lines(SAY);
    assert.deepEqual(
      found.map((line) => line['reason']),
      ['MALFORMED_REQUEST'],
    );
  });

  it('cannot be made to hold a line of its callers', async () => {
    await start({ calls: 'all' });
    const hostile = '/t/%0A%7B%22principal%22:%22owner%22%7D\u009b2J\u2028';
    await (await fetch(`http://${kernel.addresses.http}${hostile}${'x'.repeat(5_000)}`)).text();
    const written = await textOfLines(1);
    await say('last');
    assert.equal((await textOfLines(2)).trimEnd().split('\n').length, 2);
    assert.match(written.trimEnd(), /^[ -~…]*$/);
    assert.ok(written.length < 3_000);
  });

  it('that cannot be written fails no call, and what is missing is counted', async () => {
    await start({ calls: 'all', file: 'taken' });
    await mkdir(path.join(kernel.home, 'taken'));
    await say('answered');
    for (let isCounted = false; !isCounted;) {
      const metrics = await (await fetch(`http://${kernel.addresses.metrics}/metrics`)).text();
      isCounted = metrics.includes('lamella_access_log_dropped_total{reason="failed"} 1');
    }
  });

  it('is seen live by whoever may, whether or not it is kept: all, of one plugin, or what failed', async () => {
    await start({});
    const plugins = kernel.call(PluginService);
    const watch = async (request: { plugin?: string; failedOnly?: boolean }) => {
      const lines = plugins.watchAccessLog(request)[Symbol.asyncIterator]();
      assert.deepEqual((await lines.next()).value?.fields, undefined);
      return lines;
    };
    const [all, failed] = await Promise.all([watch({}), watch({ plugin: 'example.echo', failedOnly: true })]);
    await say('fine', [['x-request-id', 'request-1']]);
    await (await fetch(`http://${kernel.addresses.http}/nothing`)).text();
    await assert.rejects(link.unary(SAY, Buffer.from([0xff]), {}));
    const told = async (lines: typeof all): Promise<unknown[]> => {
      const { value } = await lines.next();
      const { method, code, httpStatus, reason } = (value?.fields ?? {}) as Line;
      return [method, code ?? httpStatus, reason];
    };
    const malformed = [SAY, 'INVALID_ARGUMENT', 'MALFORMED_REQUEST'];
    assert.deepEqual(
      [await told(all), await told(all), await told(all)],
      [[SAY, 'OK', undefined], ['GET /nothing', 404, 'HTTP_PATH_NOT_FOUND'], malformed],
    );
    assert.deepEqual(await told(failed), malformed);
    await Promise.all([all.return?.(), failed.return?.()]);
    await assert.rejects(readFile(file()), { code: 'ENOENT' });
    await assert.rejects(plugins.watchAccessLog({ plugin: 'no.such' })[Symbol.asyncIterator]().next(), {
      name: 'PLUGIN_NOT_FOUND',
    });
  });

  it('is not kept unless it is wanted', async () => {
    await start({});
    await kernel.call(EchoService).say({});
    await assert.rejects(readFile(file()), { code: 'ENOENT' });
  });
});
