import assert from 'node:assert/strict';
import http2 from 'node:http2';
import type { AddressInfo } from 'node:net';
import fc from 'fast-check';
import { FrameParser } from '../../kernel/wire/http2/frame-parser.ts';
import { HeaderDecoder } from '../../kernel/wire/http2/header-decoder.ts';
import { encodeField } from '../../kernel/wire/http2/header-encoder.ts';
import { decodeHuffman } from '../../kernel/wire/http2/huffman.ts';
import { Http2Fault } from '../../kernel/wire/http2/protocol.ts';
import { LinkClient } from '../../kernel/link/link-client.ts';
import { FUZZ_TIMEOUT_MS, fuzzRuns } from '../support/fuzz-runs.ts';
import { frameOf } from '../support/raw-http2.ts';
import {} from '../kernel/link/raw-frames.ts';

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(/\s/g, ''), 'hex');

describe('HPACK', function () {
  this.timeout(FUZZ_TIMEOUT_MS);

  it('decodes the answers of RFC 7541 appendix C.6, where the table forgets', () => {
    const decoder = new HeaderDecoder();
    // A table of 256 bytes is what the example assumes.
    const first = decoder.decode(
      hex(`3fe101 4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6
        2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3`),
    );
    assert.deepEqual(
      { ...first },
      {
        ':status': '302',
        'cache-control': 'private',
        date: 'Mon, 21 Oct 2013 20:13:21 GMT',
        location: 'https://www.example.com',
      },
    );
    const second = decoder.decode(hex('4883 640e ffc1 c0bf'));
    assert.deepEqual({ ...second }, { ...first, ':status': '307' });
    const third = decoder.decode(
      hex(`88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad
        94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160
        65c0 03ed 4ee5 b106 3d50 07`),
    );
    assert.deepEqual(
      { ...third },
      {
        ':status': '200',
        'cache-control': 'private',
        date: 'Mon, 21 Oct 2013 20:13:22 GMT',
        location: 'https://www.example.com',
        'content-encoding': 'gzip',
        'set-cookie': 'foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1',
      },
    );
  });

  it('refuses padding that is none, and an end mark inside', () => {
    for (const coded of ['1000', 'ffffffff', '07ff']) {
      assert.throws(() => decodeHuffman(hex(coded)), Http2Fault);
    }
    assert.equal(decodeHuffman(hex('f1e3c2e5f23a6ba0ab90f4ff')), 'www.example.com');
  });

  it('reads what it writes, of any length', () => {
    const name = fc.stringMatching(/^[a-z0-9_.-]{1,300}$/);
    const value = fc.stringMatching(/^[\x20-\x7e]{0,300}$/);
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.tuple(name, value), { selector: ([key]) => key, maxLength: 20 }),
        (fields) => {
          const block = Buffer.concat(fields.map(([key, text]) => encodeField(key, text)));
          assert.deepEqual(new Map(Object.entries(new HeaderDecoder().decode(block))), new Map(fields));
        },
      ),
    );
  });

  it('throws nothing but its own error for any bytes', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 80 }), { maxLength: 5 }), (blocks) => {
        const decoder = new HeaderDecoder();
        try {
          for (const block of blocks) decoder.decode(Buffer.from(block));
        } catch (error) {
          assert.ok(error instanceof Http2Fault);
        }
      }),
      { numRuns: fuzzRuns(2_000) },
    );
  });

  it('reads what the HTTP/2 library of Node writes, block after block', async () => {
    const plain = fc.tuple(
      // Those that end in -bin are bytes in base64.
      fc.stringMatching(/^x-[a-z]{1,3}$/).filter((name) => name !== 'x-bin'),
      fc.stringMatching(/^([\x21-\x7e]([\x20-\x7e]{0,60}[\x21-\x7e])?)?$/),
    );
    const answers = fc.sample(fc.uniqueArray(plain, { selector: ([key]) => key, maxLength: 8 }), 150);
    const server = http2.createServer();
    let index = 0;
    server.on('stream', (stream) => {
      const fields = Object.fromEntries(answers[index] ?? []);
      index += 1;
      stream.respond(
        { ':status': 200, 'content-type': 'application/grpc', ...fields },
        { waitForTrailers: true },
      );
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
      stream.end(Buffer.alloc(5));
    });
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve);
    });
    const client = await LinkClient.connect({
      host: '127.0.0.1',
      port: (server.address() as AddressInfo).port,
    });
    try {
      for (const fields of answers) {
        const { headers } = await client.unary('/t.T/M', Buffer.alloc(0));
        assert.deepEqual(headers, new Map(fields));
      }
    } finally {
      await client.close();
      server.close();
    }
  });
});

describe('FrameParser, for any bytes', function () {
  this.timeout(FUZZ_TIMEOUT_MS);

  const frames = fc.array(
    fc.tuple(fc.integer({ min: 0, max: 10 }), fc.nat(255), fc.nat(9), fc.uint8Array({ maxLength: 40 })),
    { maxLength: 30 },
  );

  it('throws nothing but its own error, and says the same wherever the bytes are cut', () => {
    fc.assert(
      fc.property(frames, fc.integer({ min: 1, max: 50 }), (parts, pieceBytes) => {
        const wire = Buffer.concat([
          frameOf(4, [0, 0]),
          ...parts.map(([type, flags, streamId, payload]) => frameOf(type, [flags, streamId], payload)),
        ]);
        assert.deepEqual(heard(wire, pieceBytes), heard(wire, wire.length));
      }),
      { numRuns: fuzzRuns(1_000) },
    );
  });
});

/** All that a parser says of bytes which come in pieces; pieces of data are joined. */
function heard(wire: Buffer, pieceBytes: number): unknown[] {
  const said: unknown[] = [];
  const data = new Map<number, string>();
  const parser = new FrameParser({
    onHeaders: (streamId, block, isLast) => said.push(['headers', streamId, { ...block }, isLast]),
    onData: (streamId, part, isLast) => {
      data.set(streamId, (data.get(streamId) ?? '') + part.toString('hex'));
      if (isLast) said.push(['end', streamId]);
    },
    onPadding: (streamId, bytes) => said.push(['padding', streamId, bytes]),
    onReset: (streamId, code) => said.push(['reset', streamId, code]),
    onSettings: (payload) => said.push(['settings', payload.toString('hex')]),
    onAcknowledged: () => said.push(['acknowledged']),
    onMalformed: (_streamId, fault) => {
      throw fault;
    },
    onPong: () => undefined,
    onPing: (payload) => said.push(['ping', payload.toString('hex')]),
    onGoAway: (lastId) => said.push(['goodbye', lastId]),
    onWindow: (streamId, bytes) => said.push(['window', streamId, bytes]),
  });
  try {
    for (let at = 0; at < wire.length; at += pieceBytes) parser.push(wire.subarray(at, at + pieceBytes));
  } catch (error) {
    assert.ok(error instanceof Http2Fault);
    said.push(['fault', error.message]);
  }
  return [...said, ...data];
}
