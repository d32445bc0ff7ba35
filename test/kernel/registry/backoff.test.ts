import assert from 'node:assert/strict';
import { backoffMs, isGivenUp } from '../../../kernel/registry/backoff.ts';

const noJitter = (): number => 0;

describe('backoffMs', () => {
  it('doubles from 250 ms to 30 s', () => {
    const crashes: number[] = [];
    const pauses = Array.from({ length: 9 }, (_, index) => {
      crashes.push(index * 1_000);
      return backoffMs(crashes, index * 1_000, noJitter);
    });
    assert.deepEqual(pauses, [250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
  });

  it('begins anew after a minute without a crash', () => {
    assert.equal(backoffMs([0, 1_000, 62_000], 62_000, noJitter), 250);
    assert.equal(backoffMs([0, 1_000, 61_000], 61_000, noJitter), 1_000);
  });

  it('takes up to a fifth off by chance', () => {
    assert.equal(
      backoffMs([0], 0, () => 0.5),
      225,
    );
  });

  it('is at its first step before any crash', () => {
    assert.equal(backoffMs([], 0, noJitter), 250);
  });
});

describe('isGivenUp', () => {
  it('gives up at the fifth crash in five minutes', () => {
    assert.equal(isGivenUp([0, 1, 2, 3], 3), false);
    assert.equal(isGivenUp([0, 1, 2, 3, 4], 4), true);
  });

  it('forgets crashes older than five minutes', () => {
    assert.equal(isGivenUp([0, 1, 2, 3, 300_001], 300_001), false);
    assert.equal(isGivenUp([0, 1, 2, 3, 300_000], 300_000), true);
  });
});
