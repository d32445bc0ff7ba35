import assert from 'node:assert/strict';
import { classify } from '../../../plugins/serving/infer/classification.ts';

describe('classification of an output', () => {
  it('puts equal values in the order of their indices and what is no number last', () => {
    const data = Float32Array.of(Number.NaN, 0.5, Infinity, 0.5, -Infinity);
    const { dims, data: texts } = classify(
      'p',
      { type: 'float32', dims: [5], data },
      { classes: 5, isBatched: false },
    );
    assert.deepEqual(dims, [5]);
    assert.deepEqual(texts, ['inf:2', '0.500000:1', '0.500000:3', '-inf:4', 'nan:0']);
  });

  it('keeps every digit of large integers', () => {
    const data = BigInt64Array.of(9_007_199_254_740_993n, 9_007_199_254_740_992n);
    const { data: texts } = classify(
      'n',
      { type: 'int64', dims: [1, 2], data },
      { classes: 1, isBatched: true },
    );
    assert.deepEqual(texts, ['9007199254740993:0']);
  });

  it('takes rows of several dimensions as one list', () => {
    const data = Uint8Array.of(1, 2, 3, 4, 8, 7, 6, 5);
    const { dims, data: texts } = classify(
      'm',
      { type: 'uint8', dims: [2, 2, 2], data },
      { classes: 2, isBatched: true },
    );
    assert.deepEqual(dims, [2, 2]);
    assert.deepEqual(texts, ['4:3', '3:2', '8:0', '7:1']);
  });

  it('refuses what has no order', () => {
    const options = { classes: 1, isBatched: false };
    for (const tensor of [
      { type: 'string', dims: [1], data: ['a'] },
      { type: 'bool', dims: [1], data: Uint8Array.of(1) },
      { type: 'float16', dims: [1], data: Uint16Array.of(1) },
    ] as const) {
      assert.throws(() => classify('o', tensor, options), /no classes/);
    }
  });
});
