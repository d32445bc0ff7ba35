import assert from 'node:assert/strict';
import { LinkClient } from '../../../kernel/link/link-client.ts';
import { StatusError } from '../../../kernel/status-error.ts';
import { Code, DeclaredError } from '../../../sdk/index.ts';
import { FixtureServer, socketFolder } from './server-fixture.ts';

const bytes = (text: string): Buffer => Buffer.from(text);
const text = (message: Uint8Array): string => Buffer.from(message).toString();

async function* from(messages: Iterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield* messages;
}

async function collect(messages: AsyncIterable<Uint8Array>): Promise<string[]> {
  const all: string[] = [];
  for await (const message of messages) all.push(text(message));
  return all;
}

const hasReason =
  (reason: string) =>
  (error: unknown): boolean =>
    error instanceof DeclaredError && error.reason === reason;

describe('LinkClient.stream', () => {
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

  it('streams answers in order and tells the trailers', async () => {
    let trailers: ReadonlyMap<string, unknown> = new Map();
    const answers = client.stream('/t.T/Count', from([bytes('500')]), {
      onTrailers: (received) => {
        trailers = received;
      },
    });
    assert.deepEqual(
      await collect(answers),
      Array.from({ length: 500 }, (_, index) => String(index)),
    );
    assert.deepEqual(trailers, new Map([['x-end', 'here']]));
  });

  it('streams requests', async () => {
    const blocks = Array.from({ length: 40 }, () => Buffer.alloc(100_000));
    assert.deepEqual(await collect(client.stream('/t.T/Collect', from(blocks))), ['4000000']);
  });

  it('streams both ways, each answer before the next request', async () => {
    const queue: ((value: string) => void)[] = [];
    async function* requests(): AsyncGenerator<Uint8Array> {
      for (let index = 0; index < 5; index += 1) {
        const answered = new Promise<string>((resolve) => queue.push(resolve));
        yield bytes(`m${index}`);
        assert.equal(await answered, `m${index}`);
      }
    }
    const seen: string[] = [];
    for await (const answer of client.stream('/t.T/Chat', requests())) {
      seen.push(text(answer));
      queue.shift()?.(text(answer));
    }
    assert.deepEqual(seen, ['m0', 'm1', 'm2', 'm3', 'm4']);
  });

  it('gives out the messages that came before an error', async () => {
    const seen: string[] = [];
    await assert.rejects(
      async () => {
        for await (const message of client.stream('/t.T/FailAfterTwo', from([bytes('')])))
          seen.push(text(message));
      },
      (error: unknown) => error instanceof StatusError && error.code === Code.ABORTED,
    );
    assert.deepEqual(seen, ['a', 'b']);
  });

  it('stops the request source when the server ends the call early', async () => {
    let stopped: () => void = () => undefined;
    const isStopped = new Promise<void>((resolve) => {
      stopped = resolve;
    });
    async function* endless(): AsyncGenerator<Uint8Array> {
      try {
        for (;;) yield Buffer.alloc(1_000);
      } finally {
        stopped();
      }
    }
    await assert.rejects(
      collect(client.stream('/t.T/Refuse', endless())),
      (error: unknown) => error instanceof StatusError && error.code === Code.RESOURCE_EXHAUSTED,
    );
    await isStopped;
  });

  it('cancels the call when the consumer leaves', async () => {
    for await (const message of client.stream('/t.T/Flood', from([bytes('')]))) {
      assert.equal(message.byteLength, 64 * 1024);
      break;
    }
    await server.observed.cancelled;
  });

  it('makes the server wait while the consumer is behind', async () => {
    const answers = client.stream('/t.T/Flood', from([bytes('')]));
    await answers.next();
    // Each round trip behind the flood on the same connection gives the server time to send more.
    for (let round = 0; round < 200; round += 1) await client.unary('/t.T/Plain', bytes(''));
    const sent = server.observed.received;
    for (let round = 0; round < 50; round += 1) await client.unary('/t.T/Plain', bytes(''));
    assert.equal(server.observed.received, sent);
    assert.ok(sent * 64 * 1024 < 16 * 1024 * 1024, `the server sent ${sent} blocks`);
    for (let index = 0; index < 300; index += 1) await answers.next();
    assert.ok(server.observed.received > sent);
    await answers.return(undefined);
  });

  it('makes the request source wait while the server does not read', async () => {
    let asked = 0;
    async function* requests(): AsyncGenerator<Uint8Array> {
      for (;;) {
        asked += 1;
        yield Buffer.alloc(64 * 1024);
      }
    }
    const answers = client.stream('/t.T/Deaf', requests());
    const ended = assert.rejects(answers.next(), hasReason('LINK_LOST'));
    for (let round = 0; round < 200; round += 1) await client.unary('/t.T/Plain', bytes(''));
    const before = asked;
    for (let round = 0; round < 50; round += 1) await client.unary('/t.T/Plain', bytes(''));
    assert.equal(asked, before);
    assert.ok(asked < 100, `${asked} requests were taken`);
    await client.close();
    await ended;
  });

  it('ends the call when the request source fails', async () => {
    async function* failing(): AsyncGenerator<Uint8Array> {
      yield bytes('one');
      throw new Error('disk gone');
    }
    await assert.rejects(collect(client.stream('/t.T/Collect', failing())), hasReason('LINK_CANCELLED'));
    await server.observed.cancelled;
  });

  it('refuses messages over its limit in both directions', async () => {
    const small = await LinkClient.connect({ socketPath: folder.socketPath }, { maxMessageBytes: 10 });
    await assert.rejects(small.unary('/t.T/Plain', Buffer.alloc(11)), hasReason('LINK_MESSAGE_TOO_LARGE'));
    await assert.rejects(
      collect(small.stream('/t.T/Chat', from([Buffer.alloc(11)]))),
      hasReason('LINK_MESSAGE_TOO_LARGE'),
    );
    await assert.rejects(
      collect(small.stream('/t.T/Flood', from([bytes('')]))),
      hasReason('LINK_MESSAGE_TOO_LARGE'),
    );
    await small.close();
  });

  it('fails running calls with UNAVAILABLE and says when to retry when the server dies', async () => {
    const unary = client.unary('/t.T/Hang', bytes(''));
    const stream = collect(client.stream('/t.T/Deaf', from([bytes('x')])));
    await client.unary('/t.T/Plain', bytes(''));
    server.stop();
    for (const call of [unary, stream]) {
      await assert.rejects(call, (error: unknown) => {
        assert.ok(error instanceof DeclaredError);
        assert.deepEqual(
          [error.reason, error.code, error.retryAfterMs],
          ['LINK_LOST', Code.UNAVAILABLE, 250],
        );
        return true;
      });
    }
    await client.closed;
    await assert.rejects(client.unary('/t.T/Plain', bytes('')), hasReason('LINK_CLOSED'));
  });

  it('lets running calls end when it is closed gracefully', async () => {
    const answers = client.stream('/t.T/Count', from([bytes('3')]));
    const first = await answers.next();
    const closing = client.close(true);
    assert.equal(text(first.value as Uint8Array), '0');
    assert.deepEqual(await collect(answers), ['1', '2']);
    await closing;
    await assert.rejects(client.unary('/t.T/Plain', bytes('')), hasReason('LINK_CLOSED'));
  });
});
