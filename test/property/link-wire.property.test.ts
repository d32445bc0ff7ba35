import assert from 'node:assert/strict';
import fc from 'fast-check';
import { HeaderDecoder } from '../../kernel/wire/http2/header-decoder.ts';
import { Http2Fault } from '../../kernel/wire/http2/protocol.ts';
import { isDeclaredError } from '../../sdk/index.ts';
import { StatusError } from '../../kernel/status-error.ts';
import { FUZZ_TIMEOUT_MS, fuzzRuns } from '../support/fuzz-runs.ts';
import { END_STREAM, Frame, frameOf } from '../support/raw-http2.ts';
import {
  ANSWER_BLOCK,
  answer,
  FrameServer,
  isEndOfRequest,
  MESSAGE,
  OK_BLOCK,
  setting,
  word,
} from '../kernel/link/raw-frames.ts';

describe('the link to a plugin, for any frames that it answers', function () {
  this.timeout(FUZZ_TIMEOUT_MS);

  const payload = fc.oneof(
    fc.uint8Array({ maxLength: 60 }),
    fc.constantFrom(
      ANSWER_BLOCK,
      OK_BLOCK,
      MESSAGE,
      word(0),
      word(0x7fff_ffff),
      setting(4, 0x7fff_ffff),
      setting(5, 0),
    ),
  );
  const any = fc
    .tuple(
      fc.oneof(fc.nat(10), fc.nat(255)),
      fc.oneof(fc.constantFrom(0, 1, 4, 5, 8), fc.nat(255)),
      fc.nat(4),
      payload,
    )
    .map(([type, flags, stream, bytes]) => frameOf(type, [flags, stream], Buffer.from(bytes)));
  const pieces = fc.array(
    fc.oneof({ weight: 6, arbitrary: any }, { weight: 1, arbitrary: fc.uint8Array() }),
    {
      maxLength: 12,
    },
  );

  it('ends the calls on it with an answer or an error, and never the kernel', async () => {
    await fc.assert(
      fc.asyncProperty(pieces, async (frames) => {
        const server = new FrameServer();
        const link = await server.connect((received, peer) => {
          if (!isEndOfRequest(received)) return;
          peer.send(...frames.map((bytes) => Buffer.from(bytes)), answer(received.streamId));
        });
        const options = { deadlineMs: Date.now() + 200 };
        const outcomes = await Promise.allSettled([
          link.unary('/t.T/M', Buffer.from('x'), options),
          (async () => {
            for await (const _ of link.stream('/t.T/S', (async function* () {})(), options)) continue;
          })(),
        ]);
        await server.stop();
        for (const outcome of outcomes) {
          if (outcome.status === 'fulfilled') continue;
          const { reason } = outcome as { reason: unknown };
          assert.ok(isDeclaredError(reason) || reason instanceof StatusError, String(reason));
        }
      }),
      { numRuns: fuzzRuns(150) },
    );
  });

  it('takes no message after the trailers, and serves on', async () => {
    const server = new FrameServer();
    const late = (id: number): Buffer =>
      Buffer.concat([answer(id), frameOf(Frame.DATA, [END_STREAM, id], MESSAGE), answer(id)]);
    const link = await server.connect((received, peer) => {
      if (isEndOfRequest(received)) peer.send(late(received.streamId));
    });
    for (let round = 0; round < 3; round += 1) {
      assert.equal(Buffer.from((await link.unary('/t.T/M', Buffer.from('x'))).message).toString(), 'A');
    }
    await server.stop();
  });

  it('reads no number that has no end, which would lift every limit', () => {
    // A table size whose digits are all zero: what they stand for grows beyond all numbers.
    const endless = Buffer.from([0x3f, ...Array.from({ length: 200 }, () => 0x80), 0]);
    assert.throws(() => new HeaderDecoder().decode(endless), Http2Fault);
  });
});
