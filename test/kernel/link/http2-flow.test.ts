import assert from 'node:assert/strict';
import { Code, DeclaredError } from '../../../sdk/index.ts';
import { END_HEADERS, END_STREAM, Frame, frameOf } from '../../support/raw-http2.ts';
import {
  answer,
  answering,
  ANSWER_BLOCK,
  call,
  FrameServer,
  isEndOfRequest,
  setting,
  word,
} from './raw-frames.ts';

describe('HTTP/2 of the link: windows, turns and signs of life', () => {
  let server: FrameServer;

  beforeEach(() => {
    server = new FrameServer();
  });

  afterEach(async () => {
    await server.stop();
  });

  it('ends the connection at more data than a stream may bring while nobody reads', async () => {
    const message = Buffer.alloc(16_000);
    message.writeUInt32BE(message.length - 5, 1);
    let onGoodbye: (code: number) => void = () => undefined;
    const goodbye = new Promise<number>((resolve) => {
      onGoodbye = resolve;
    });
    const link = await server.connect((each, peer) => {
      if (each.type === Frame.GOAWAY) onGoodbye(each.payload.readUInt32BE(4));
      if (!isEndOfRequest(each)) return;
      peer.send(frameOf(Frame.HEADERS, [END_HEADERS, each.streamId], ANSWER_BLOCK));
      const block = frameOf(Frame.DATA, [0, each.streamId], message);
      for (let sent = 0; sent < 5_000_000; sent += block.length) peer.send(block);
    });
    const messages = link.stream('/t.T/M', one('x'))[Symbol.asyncIterator]();
    await messages.next();
    assert.equal(await goodbye, 3);
    await assert.rejects(
      async () => {
        while ((await messages.next()).done !== true);
      },
      (error: unknown) => error instanceof DeclaredError && error.reason === 'LINK_LOST',
    );
  });

  it('answers pings and settings', async () => {
    const link = await server.connect((each, peer) => {
      if (each.type === Frame.PING) peer.send(answer(1));
      if (isEndOfRequest(each)) peer.send(frameOf(Frame.PING, [0, 0], Buffer.from('12345678')));
    });
    assert.equal(await call(link), 'A');
    const pong = server.received.find(({ type }) => type === Frame.PING);
    assert.deepEqual([pong?.flags, pong?.payload.toString()], [1, '12345678']);
    assert.ok(server.received.some(({ type, flags }) => type === Frame.SETTINGS && flags === 1));
  });

  it('has no more calls under way than the server takes, and loses none of those that wait', async () => {
    let running = 0;
    let most = 0;
    const link = await server.connect(
      (each, peer) => {
        if (each.type === Frame.HEADERS) most = Math.max(most, (running += 1));
        if (!isEndOfRequest(each)) return;
        setImmediate(() => {
          running -= 1;
          peer.send(answer(each.streamId));
        });
      },
      [setting(3, 2)],
    );
    const calls = Array.from({ length: 20 }, async () => call(link));
    assert.deepEqual(new Set(await Promise.all(calls)), new Set(['A']));
    assert.equal(most, 2);
  });

  it('lets a call that waits for its turn be cancelled without a word to the server', async () => {
    const link = await server.connect(
      (each, peer) => {
        if (each.type === Frame.DATA && each.payload.toString().endsWith('go'))
          peer.send(answer(1), answer(each.streamId));
      },
      [setting(3, 1)],
    );
    const first = call(link);
    const cancelled = new AbortController();
    const second = link.unary('/t.T/M', Buffer.from('never'), { signal: cancelled.signal });
    cancelled.abort();
    await assert.rejects(second, (error: unknown) => (error as DeclaredError).code === Code.CANCELLED);
    server.peers[0]?.send(answer(1));
    assert.equal(await first, 'A');
    const third = call(link, 'go');
    assert.equal(await third, 'A');
    assert.equal(server.received.filter(({ type }) => type === Frame.HEADERS).length, 2);
    assert.ok(!server.received.some(({ type }) => type === Frame.RST_STREAM));
  });

  it('sends no more than the windows take, in frames that the server takes', async () => {
    const size = 100_000;
    let got = 0;
    const link = await server.connect(
      (each, peer) => {
        if (each.type !== Frame.DATA) return;
        got += each.payload.length;
        assert.ok(each.payload.length <= 1_000);
        if ((each.flags & END_STREAM) !== 0) peer.send(answer(each.streamId));
        else
          peer.send(
            frameOf(Frame.WINDOW_UPDATE, [0, each.streamId], word(each.payload.length)),
            frameOf(Frame.WINDOW_UPDATE, [0, 0], word(each.payload.length)),
          );
      },
      [setting(4, 1_000)],
    );
    const { message } = await link.unary('/t.T/M', Buffer.alloc(size));
    assert.equal(Buffer.from(message).toString(), 'A');
    assert.equal(got, size + 5);
  });

  it('sends on when the server changes the window of all streams', async () => {
    let isWaiting = true;
    const link = await server.connect(
      (each, peer) => {
        if (each.type === Frame.HEADERS) peer.send(frameOf(Frame.SETTINGS, [0, 0], setting(4, 50_000)));
        if (each.type !== Frame.DATA) return;
        isWaiting = false;
        if ((each.flags & END_STREAM) !== 0) peer.send(answer(each.streamId));
      },
      [setting(4, 0)],
    );
    const { message } = await link.unary('/t.T/M', Buffer.alloc(40_000));
    assert.equal(Buffer.from(message).toString(), 'A');
    assert.equal(isWaiting, false);
  });

  it('opens the windows again as data is read', async () => {
    const piece = Buffer.alloc(16_000);
    piece.writeUInt32BE(piece.length - 5, 1);
    const link = await server.connect((each, peer) => {
      if (!isEndOfRequest(each)) return;
      peer.send(frameOf(Frame.HEADERS, [END_HEADERS, each.streamId], ANSWER_BLOCK));
      let credit = 4_000_000;
      const stream = each.streamId;
      const sendAll = (): void => {
        for (; credit >= piece.length; credit -= piece.length)
          peer.send(frameOf(Frame.DATA, [0, stream], piece));
      };
      sendAll();
      credits = (bytes) => {
        credit += bytes;
        sendAll();
      };
    });
    let credits: (bytes: number) => void = () => undefined;
    let count = 0;
    const seen = new Set<number>();
    for await (const message of link.stream('/t.T/M', one('x'))) {
      assert.equal(message.byteLength, piece.length - 5);
      count += 1;
      for (const { type, streamId, payload } of server.received.splice(0)) {
        if (type !== Frame.WINDOW_UPDATE) continue;
        seen.add(streamId);
        if (streamId !== 0) credits(payload.readUInt32BE());
      }
      if (count === 1_000) break;
    }
    assert.deepEqual(
      [...seen].toSorted((left, right) => left - right),
      [0, 1],
    );
  });

  it('tries calls again elsewhere that the server had not looked at when it said goodbye', async () => {
    const link = await server.connect((each, peer) => {
      if (!isEndOfRequest(each)) return;
      if (server.peers.length > 1) peer.send(answer(each.streamId));
      else if (each.streamId === 3) {
        peer.send(frameOf(Frame.GOAWAY, [0, 0], Buffer.concat([word(1), word(0)])), answer(1));
      }
    });
    assert.deepEqual(await Promise.all([call(link), call(link)]), ['A', 'A']);
    assert.equal(server.peers.length, 2);
  });

  it('sends metadata that needs more than one frame', async () => {
    const link = await server.connect(answering(answer));
    const headers = new Map([['x-long', 'v'.repeat(40_000)]]);
    await link.unary('/t.T/M', Buffer.from('x'), { headers });
    const pieces = server.received.filter(
      ({ type }) => type === Frame.HEADERS || type === Frame.CONTINUATION,
    );
    assert.deepEqual(
      pieces.map(({ type, flags }) => [type, flags]),
      [
        [Frame.HEADERS, 0],
        [Frame.CONTINUATION, 0],
        [Frame.CONTINUATION, END_HEADERS],
      ],
    );
    assert.ok(
      Buffer.concat(pieces.map(({ payload }) => payload))
        .toString()
        .endsWith('v'.repeat(40_000)),
    );
  });
});

async function* one(message: string): AsyncGenerator<Buffer> {
  yield Buffer.from(message);
}
