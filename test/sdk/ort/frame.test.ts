import assert from 'node:assert/strict';
import fc from 'fast-check';
import { type Frame, readTensors, TensorFrames } from '../../../sdk/ort/frame.ts';
import { FrameReader } from '../../../sdk/ort/frame-reader.ts';
import type { OrtTensors } from '../../../sdk/ort/index.ts';

/** Sends frames through the reader in pieces of the given sizes. */
function transport(frames: readonly (readonly Uint8Array[])[], pieceSizes: readonly number[]): Frame[] {
  const bytes = Buffer.concat(frames.flat());
  const arrived: Frame[] = [];
  const reader = new FrameReader((frame) => arrived.push(frame));
  for (let offset = 0, turn = 0; offset < bytes.byteLength; turn += 1) {
    const size = pieceSizes[turn % pieceSizes.length] ?? 1;
    reader.push(bytes.subarray(offset, offset + size));
    offset += size;
  }
  return arrived;
}

const tensors: fc.Arbitrary<OrtTensors> = fc.dictionary(
  fc.string({ maxLength: 20 }).filter((name) => name !== '__proto__'),
  fc.oneof(
    fc
      .float32Array({ maxLength: 30, noNaN: true })
      .map((data) => ({ type: 'float32' as const, dims: [data.length], data })),
    fc
      .uint8Array({ maxLength: 30 })
      .map((data) => ({ type: 'uint8' as const, dims: [1, data.length], data })),
    fc
      .bigInt64Array({ maxLength: 9 })
      .map((data) => ({ type: 'int64' as const, dims: [data.length, 1], data })),
    fc
      .array(fc.string({ unit: 'grapheme' }), { maxLength: 9 })
      .map((data) => ({ type: 'string' as const, dims: [data.length], data })),
  ),
  { maxKeys: 5 },
);

describe('frames of a child process', () => {
  it('bring every tensor back, in whatever pieces they arrive', () => {
    fc.assert(
      fc.property(
        fc.array(tensors, { minLength: 1, maxLength: 4 }),
        fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 5 }),
        (sent, pieces) => {
          const arrived = transport(
            sent.map((one) => new TensorFrames().make(3, one)),
            pieces,
          );
          assert.deepEqual(
            arrived.map((frame) => ({ ...readTensors(frame).tensors })),
            sent.map((one) => ({ ...one })),
          );
        },
      ),
    );
  });

  it('refuse an impossible size', () => {
    const prefix = Buffer.alloc(16);
    prefix.writeDoubleLE(-1, 8);
    assert.throws(() => new FrameReader(() => undefined).push(prefix), RangeError);
  });
});
