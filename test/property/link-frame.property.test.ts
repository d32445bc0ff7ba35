import assert from 'node:assert/strict';
import fc from 'fast-check';
import { addMetadata, readMetadata, timeoutValue } from '../../kernel/wire/call-metadata.ts';
import { encodeFrame, FrameDecoder, FrameFault } from '../../kernel/wire/message-frame.ts';
import { DeclaredError } from '../../sdk/index.ts';
import { FUZZ_TIMEOUT_MS } from '../support/fuzz-runs.ts';

const LIMIT_BYTES = 100_000;
const messages = fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 12 });

/** Cuts bytes at the given places. */
function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const ends = [...new Set(places.map((place) => place % (bytes.length + 1)))].sort((a, b) => a - b);
  return [...ends, bytes.length].map((end, index) => bytes.subarray(ends[index - 1] ?? 0, end));
}

function decode(chunks: readonly Buffer[]): { messages: Uint8Array[]; isClean: boolean } {
  const decoder = new FrameDecoder(LIMIT_BYTES);
  const decoded: Uint8Array[] = [];
  for (const chunk of chunks) decoder.push(chunk, (message) => decoded.push(new Uint8Array(message)));
  return { messages: decoded, isClean: decoder.isClean };
}

describe('FrameDecoder, for any stream of bytes', function () {
  this.timeout(FUZZ_TIMEOUT_MS);
  it('gives back every message, wherever the stream is cut', () => {
    fc.assert(
      fc.property(messages, fc.array(fc.nat(), { maxLength: 20 }), (sent, places) => {
        const wire = Buffer.concat(sent.flatMap((message) => [...encodeFrame(message)]));
        assert.deepEqual(decode(cut(wire, places)), {
          messages: sent.map((message) => new Uint8Array(message)),
          isClean: true,
        });
      }),
    );
  });

  it('joins a large message in two pieces to the same bytes', () => {
    const message = new Uint8Array(70_000).fill(7);
    const pieces = encodeFrame(message);
    assert.equal(pieces.length, 2);
    assert.deepEqual(decode([...pieces].map((piece) => Buffer.from(piece))).messages, [message]);
  });

  it('knows a stream that ends inside a message', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), fc.nat(), (message, pick) => {
        const wire = Buffer.concat([...encodeFrame(message)]);
        const cutAt = 1 + (pick % (wire.length - 1));
        assert.equal(decode([wire.subarray(0, cutAt)]).isClean, false);
      }),
    );
  });

  it('throws nothing but its own errors for any bytes, and never gives out more than came in', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 10 }), (chunks) => {
        try {
          const decoded = decode(chunks.map((chunk) => Buffer.from(chunk)));
          const outBytes = decoded.messages.reduce((sum, { length }) => sum + length + 5, 0);
          assert.ok(outBytes <= chunks.reduce((sum, { length }) => sum + length, 0));
        } catch (error) {
          if (error instanceof assert.AssertionError) throw error;
          assert.ok(error instanceof FrameFault || error instanceof DeclaredError);
        }
      }),
    );
  });
});

describe('metadata of a call, for any values', function () {
  this.timeout(FUZZ_TIMEOUT_MS);
  const text = fc.tuple(
    fc.stringMatching(/^x-[a-z0-9_.-]{1,12}[a-z0-9]$/),
    fc.stringMatching(/^[\x20-\x7e]{0,40}$/),
  );
  const binary = fc.tuple(
    fc.stringMatching(/^x-[a-z0-9]{1,12}-bin$/),
    fc.uint8Array({ maxLength: 60 }).map((bytes) => new Uint8Array(bytes)),
  );
  const entry = fc.oneof(
    text.filter(([name]) => !name.endsWith('-bin')),
    binary,
  );

  it('comes back as it was sent', () => {
    fc.assert(
      fc.property(fc.uniqueArray(entry, { selector: ([name]) => name, maxLength: 10 }), (entries) => {
        const sent = new Map<string, string | Uint8Array>(entries);
        const block: Record<string, string> = {};
        addMetadata(block, sent);
        assert.deepEqual(readMetadata(block), sent);
      }),
    );
  });

  it('never puts a character into a header block that could end it', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), (name, value) => {
        const block: Record<string, string> = {};
        try {
          addMetadata(block, new Map([[name, value]]));
        } catch (error) {
          assert.ok(error instanceof DeclaredError && error.reason === 'LINK_HEADER_INVALID');
        }
        for (const line of Object.entries(block).flat()) assert.match(line, /^[\x20-\x7e]*$/);
      }),
    );
  });

  it('sends a time of eight digits that is never shorter than the time left', () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 1e12, noNaN: true }), (leftMs) => {
        const [, digits = '', unit = ''] = /^(\d{1,8})([mS])$/.exec(timeoutValue(leftMs)) ?? [];
        const sentMs = Number(digits) * (unit === 'S' ? 1_000 : 1);
        assert.ok(sentMs >= 1 && (sentMs >= leftMs || digits === '99999999'));
      }),
    );
  });
});
