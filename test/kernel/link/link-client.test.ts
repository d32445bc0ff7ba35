import assert from 'node:assert/strict';
import { LinkClient } from '../../../kernel/link/link-client.ts';
import { StatusError } from '../../../kernel/status-error.ts';
import { Code, DeclaredError } from '../../../sdk/index.ts';
import { FixtureServer, socketFolder } from './server-fixture.ts';

const bytes = (text: string): Buffer => Buffer.from(text);
const text = (message: Uint8Array): string => Buffer.from(message).toString();

const hasReason =
  (reason: string) =>
  (error: unknown): boolean =>
    error instanceof DeclaredError && error.reason === reason;

describe('LinkClient against a gRPC server', () => {
  let server: FixtureServer;
  let client: LinkClient;
  let folder: Awaited<ReturnType<typeof socketFolder>>;

  beforeEach(async () => {
    folder = await socketFolder();
    server = new FixtureServer();
    await server.listen(`unix:${folder.socketPath}`);
    client = await LinkClient.connect({ socketPath: folder.socketPath });
  });

  afterEach(async () => {
    await client.close();
    server.stop();
    await folder.remove();
  });

  it('carries a unary call with its metadata both ways', async () => {
    const headers = new Map<string, string | Uint8Array>([
      ['x-request-id', 'r1'],
      ['key-bin', new Uint8Array([250, 0, 1])],
      ['te', 'gzip'],
      [':path', '/elsewhere'],
    ]);
    const result = await client.unary('/t.T/Echo', bytes('hello'), { headers });
    assert.equal(text(result.message), 'hello');
    assert.deepEqual(
      result.headers,
      new Map<string, unknown>([
        ['x-seen', 'yes'],
        ['token-bin', new Uint8Array([0, 255, 1])],
      ]),
    );
    assert.deepEqual(result.trailers, new Map([['x-cost', '7']]));
    assert.deepEqual(server.observed.metadata?.get('x-request-id'), ['r1']);
    assert.deepEqual(server.observed.metadata?.get('key-bin'), [Buffer.from([250, 0, 1])]);
  });

  it('gives no metadata when the server set none', async () => {
    const { headers, trailers } = await client.unary('/t.T/Plain', bytes(''));
    assert.deepEqual([headers.size, trailers.size], [0, 0]);
  });

  it('throws the status of the server with message, details and trailers', async () => {
    await assert.rejects(client.unary('/t.T/Fail', bytes('')), (error: unknown) => {
      assert.ok(error instanceof StatusError);
      assert.equal(error.code, Code.NOT_FOUND);
      assert.equal(error.message, 'Model „ä“ is 100 % gone');
      assert.deepEqual(error.detailsBin, new Uint8Array([8, 5]));
      assert.deepEqual(error.trailers, new Map([['x-reason', 'busy']]));
      return true;
    });
  });

  it('tells an unknown method as UNIMPLEMENTED', async () => {
    await assert.rejects(
      client.unary('/t.T/Nothing', bytes('')),
      (error: unknown) => error instanceof StatusError && error.code === Code.UNIMPLEMENTED,
    );
  });

  for (const mebibytes of [1, 64]) {
    it(`carries a message of ${mebibytes} MiB`, async () => {
      const message = Buffer.alloc(mebibytes * 1024 * 1024, 'lamella!');
      const result = await client.unary('/t.T/Plain', message);
      assert.ok(message.equals(result.message));
    }).timeout(30_000);
  }

  it('cancels a call by its signal and passes on a reason made for callers', async () => {
    const controller = new AbortController();
    const pending = client.unary('/t.T/Hang', bytes(''), { signal: controller.signal });
    const reason = new StatusError({ code: Code.ABORTED, message: 'replaced' });
    setImmediate(() => controller.abort(reason));
    await assert.rejects(pending, reason);
    await server.observed.cancelled;
  });

  it('cancels a call by the function it hands out, which does nothing after the end', async () => {
    let cancel: (reason: unknown) => void = () => undefined;
    const onCancellable = (given: typeof cancel): void => {
      cancel = given;
    };
    const pending = client.unary('/t.T/Hang', bytes(''), { onCancellable });
    cancel(new Error('caller left'));
    await assert.rejects(pending, hasReason('LINK_CANCELLED'));
    const { message } = await client.unary('/t.T/Plain', bytes('on'), { onCancellable });
    cancel(undefined);
    assert.equal(text(message), 'on');
  });

  it('does not begin a call whose signal is aborted', async () => {
    await assert.rejects(
      client.unary('/t.T/Echo', bytes(''), { signal: AbortSignal.abort() }),
      hasReason('LINK_CANCELLED'),
    );
    assert.equal(server.observed.metadata, undefined);
  });

  it('sends the time left and ends the call when it has passed', async () => {
    const deadlineMs = Date.now() + 60;
    await assert.rejects(
      client.unary('/t.T/Hang', bytes(''), { deadlineMs }),
      (error: unknown) => (error as StatusError).code === Code.DEADLINE_EXCEEDED,
    );
    assert.ok(Date.now() >= deadlineMs - 1);
    await client.unary('/t.T/Echo', bytes(''), { deadlineMs: Date.now() + 100_000 });
    const left = Number(server.observed.deadline) - Date.now();
    assert.ok(left > 90_000 && left <= 100_500, `${left} ms`);
  });

  it('does not begin a call whose deadline has passed', async () => {
    await assert.rejects(
      client.unary('/t.T/Echo', bytes(''), { deadlineMs: Date.now() - 1 }),
      hasReason('LINK_DEADLINE_EXCEEDED'),
    );
    assert.equal(server.observed.metadata, undefined);
  });

  it('keeps the calls beside a cancelled one', async () => {
    const controller = new AbortController();
    const hanging = client.unary('/t.T/Hang', bytes(''), { signal: controller.signal });
    const others = Array.from({ length: 50 }, (_, index) => client.unary('/t.T/Plain', bytes(String(index))));
    controller.abort();
    await assert.rejects(hanging);
    const answers = await Promise.all(others);
    assert.deepEqual(
      answers.map(({ message }) => text(message)),
      others.map((_, index) => String(index)),
    );
  });

  it('survives more cancelled calls than the server puts up with on one connection', async () => {
    for (let round = 0; round < 1_500; round += 1) {
      const controller = new AbortController();
      const hanging = client.unary('/t.T/Hang', bytes(''), { signal: controller.signal });
      setImmediate(() => controller.abort());
      await assert.rejects(hanging);
    }
    const { message } = await client.unary('/t.T/Plain', bytes('still here'));
    assert.equal(text(message), 'still here');
  }).timeout(20_000);

  it('refuses metadata that no header can hold', async () => {
    const unfit: readonly (readonly [string, string | Uint8Array])[] = [
      ['X-Upper', 'a'],
      ['x', 'line\nbreak'],
      ['x-bin', 'text'],
      ['x', new Uint8Array(1)],
    ];
    for (const header of unfit) {
      await assert.rejects(
        client.unary('/t.T/Echo', bytes(''), { headers: new Map<string, string | Uint8Array>([header]) }),
        hasReason('LINK_HEADER_INVALID'),
      );
    }
  });

  it('speaks to a host and port too', async () => {
    const other = new FixtureServer();
    const port = await other.listen('127.0.0.1:0');
    const remote = await LinkClient.connect({ host: '127.0.0.1', port });
    assert.equal(text((await remote.unary('/t.T/Plain', bytes('tcp'))).message), 'tcp');
    await remote.close();
    other.stop();
  });

  it('says who does not answer when nobody listens', async () => {
    await assert.rejects(
      LinkClient.connect({ socketPath: `${folder.socketPath}.none` }),
      (error: unknown) =>
        hasReason('LINK_UNREACHABLE')(error) && (error as Error).message.includes('test.sock.none'),
    );
  });
});
