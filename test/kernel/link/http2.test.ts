import assert from 'node:assert/strict';
import { DeclaredError } from '../../../sdk/index.ts';
import { END_HEADERS, END_STREAM, PADDED, Frame, frameOf } from '../../support/raw-http2.ts';
import {
  answer,
  answering,
  ANSWER_BLOCK,
  call,
  FrameServer,
  isEndOfRequest,
  MESSAGE,
  OK_BLOCK,
  setting,
  word,
} from './raw-frames.ts';

describe('HTTP/2 of the link', () => {
  let server: FrameServer;

  beforeEach(() => {
    server = new FrameServer();
  });

  afterEach(async () => {
    await server.stop();
  });

  const fine: readonly (readonly [string, (streamId: number) => Buffer])[] = [
    ['one frame for each part', answer],
    [
      'padding and a priority',
      (id) =>
        Buffer.concat([
          frameOf(
            Frame.HEADERS,
            [END_HEADERS | PADDED | 0x20, id],
            Buffer.concat([Buffer.from([3, 0, 0, 0, 0, 7]), ANSWER_BLOCK, Buffer.alloc(3)]),
          ),
          frameOf(Frame.DATA, [PADDED, id], Buffer.concat([Buffer.from([200]), MESSAGE, Buffer.alloc(200)])),
          frameOf(Frame.HEADERS, [END_HEADERS | END_STREAM, id], OK_BLOCK),
        ]),
    ],
    [
      'headers in single bytes',
      (id) => {
        const pieces = [...ANSWER_BLOCK].map((byte) => Buffer.from([byte]));
        return Buffer.concat([
          ...pieces.map((piece, index) =>
            frameOf(
              index === 0 ? Frame.HEADERS : Frame.CONTINUATION,
              [index === pieces.length - 1 ? END_HEADERS : 0, id],
              piece,
            ),
          ),
          frameOf(Frame.DATA, [0, id], MESSAGE),
          frameOf(Frame.HEADERS, [END_HEADERS | END_STREAM, id], OK_BLOCK),
        ]);
      },
    ],
    [
      'frames of unknown types, and an announcement that the answer will come',
      (id) =>
        Buffer.concat([
          frameOf(0xaa, [0xff, id], Buffer.from('what')),
          frameOf(2, [0, id], Buffer.alloc(5)),
          frameOf(
            Frame.HEADERS,
            [END_HEADERS, id],
            Buffer.concat([Buffer.from([0x08, 3]), Buffer.from('100')]),
          ),
          answer(id),
        ]),
    ],
    [
      'an empty last frame of data after the status',
      (id) =>
        Buffer.concat([frameOf(Frame.DATA, [0, id]), answer(id), frameOf(Frame.DATA, [END_STREAM, id])]),
    ],
  ];
  for (const [what, make] of fine) {
    it(`takes an answer with ${what}`, async () => {
      const link = await server.connect(answering(make));
      assert.deepEqual([await call(link), await call(link)], ['A', 'A']);
      assert.equal(server.peers.length, 1);
    });
  }

  const faults: readonly (readonly [string, number, (streamId: number) => Buffer])[] = [
    ['a stream that never was', 1, () => frameOf(Frame.DATA, [0, 99], MESSAGE)],
    ['a stream of the server', 1, () => frameOf(Frame.HEADERS, [END_HEADERS, 2], ANSWER_BLOCK)],
    ['a push', 1, (id) => frameOf(5, [END_HEADERS, id], Buffer.concat([word(2), ANSWER_BLOCK]))],
    ['data without a stream', 1, () => frameOf(Frame.DATA, [0, 0], MESSAGE)],
    ['settings of a stream', 1, (id) => frameOf(Frame.SETTINGS, [0, id])],
    ['settings that are cut off', 6, () => frameOf(Frame.SETTINGS, [0, 0], Buffer.alloc(5))],
    ['frames larger than allowed', 1, () => frameOf(Frame.SETTINGS, [0, 0], setting(5, 1))],
    ['a window above the limit', 3, () => frameOf(Frame.SETTINGS, [0, 0], setting(4, 0xffff_ffff))],
    ['a window opened too far', 3, () => frameOf(Frame.WINDOW_UPDATE, [0, 0], word(0x7fff_ffff))],
    ['a ping of another size', 6, () => frameOf(Frame.PING, [0, 0], Buffer.alloc(7))],
    ['a reset of another size', 6, (id) => frameOf(Frame.RST_STREAM, [0, id], Buffer.alloc(3))],
    ['a frame over the limit', 6, (id) => frameOf(Frame.HEADERS, [END_HEADERS, id], Buffer.alloc(16_385))],
    ['padding longer than the frame', 1, (id) => frameOf(Frame.DATA, [PADDED, id], Buffer.from([9, 1]))],
    ['a continuation of nothing', 1, (id) => frameOf(Frame.CONTINUATION, [END_HEADERS, id], ANSWER_BLOCK)],
    [
      'something else inside a header block',
      1,
      (id) =>
        Buffer.concat([
          frameOf(Frame.HEADERS, [0, id], ANSWER_BLOCK),
          frameOf(Frame.PING, [0, 0], Buffer.alloc(8)),
        ]),
    ],
    [
      'a header block without end',
      11,
      (id) =>
        Buffer.concat([
          frameOf(Frame.HEADERS, [0, id], ANSWER_BLOCK),
          ...Array.from({ length: 8_000 }, () => frameOf(Frame.CONTINUATION, [0, id])),
        ]),
    ],
    [
      'a header that was never sent',
      9,
      (id) => frameOf(Frame.HEADERS, [END_HEADERS, id], Buffer.from([0xff, 0x05])),
    ],
    [
      'a header that is cut off',
      9,
      (id) => frameOf(Frame.HEADERS, [END_HEADERS, id], Buffer.from([0x00, 0x05, 0x61])),
    ],
    ['a number without end', 9, (id) => frameOf(Frame.HEADERS, [END_HEADERS, id], Buffer.alloc(20, 0xff))],
    [
      'a line break in a header',
      1,
      (id) =>
        frameOf(
          Frame.HEADERS,
          [END_HEADERS, id],
          Buffer.concat([Buffer.from([0, 1]), Buffer.from('a\x02\r\n')]),
        ),
    ],
    [
      'few bytes that stand for many headers',
      11,
      (id) =>
        frameOf(
          Frame.HEADERS,
          [END_HEADERS, id],
          Buffer.concat([
            Buffer.from([0x40, 1, 0x61, 0x7f, 0xa1, 0x1e]),
            Buffer.alloc(4_000, 'v'),
            Buffer.alloc(100, 0xbe),
          ]),
        ),
    ],
  ];
  for (const [what, code, make] of faults) {
    it(`ends the connection at ${what}, says so, and goes on with another`, async () => {
      let isBroken = false;
      const link = await server.connect((each, peer) => {
        if (!isEndOfRequest(each)) return;
        peer.send(isBroken ? answer(each.streamId) : make(each.streamId));
        isBroken = true;
      });
      await assert.rejects(
        call(link),
        (error: unknown) => error instanceof DeclaredError && error.reason === 'LINK_LOST',
      );
      assert.equal(await call(link), 'A');
      const goodbye = server.received.find(({ type }) => type === Frame.GOAWAY);
      assert.equal(goodbye?.payload.readUInt32BE(4), code);
    });
  }
});
