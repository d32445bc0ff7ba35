import assert from 'node:assert/strict';
import { RateLimits, TokenBuckets } from '../../../kernel/access/rate-limits.ts';
import type { Principal } from '../../../kernel/access/principal.ts';

function principal(name: string, ...grants: readonly string[]): Principal {
  return { kind: 'key', name, grants };
}

describe('rate limits', () => {
  it('give a burst at once, then the rate, and say how long to wait', () => {
    let nowMs = 0;
    const buckets = new TokenBuckets({ perSecond: 10, burst: 3 }, () => nowMs);
    assert.deepEqual(
      [1, 2, 3, 4].map(() => buckets.take('a')),
      [0, 0, 0, 100],
    );
    nowMs = 99;
    assert.equal(buckets.take('a'), 1);
    nowMs = 100;
    assert.deepEqual([buckets.take('a'), buckets.take('a')], [0, 100]);
    nowMs = 10_000;
    assert.deepEqual(
      [1, 2, 3, 4].map(() => buckets.take('a')),
      [0, 0, 0, 100],
    );
  });

  it('count each principal for itself, by the nearest limit', () => {
    const limits = new RateLimits(
      { 'key:a': { perSecond: 1, burst: 1 }, user: { perSecond: 1, burst: 2 } },
      () => 0,
    );
    const count = (who: Principal): boolean => {
      try {
        limits.count(who);
        return true;
      } catch (error) {
        const { reason, retryAfterMs } = error as { reason: string; retryAfterMs: number };
        assert.deepEqual([reason, retryAfterMs], ['RATE_LIMITED', 1000]);
        return false;
      }
    };
    assert.deepEqual([count(principal('key:a', 'user')), count(principal('key:a', 'user'))], [true, false]);
    const b = principal('key:b', 'user');
    const c = principal('key:c', 'user');
    assert.deepEqual([b, b, b, c, c, c].map(count), [true, true, false, true, true, false]);
    const free = principal('key:d', 'admin');
    assert.ok([free, free, free, free].every(count));
  });

  it('forget the least recently used of too many names', () => {
    const buckets = new TokenBuckets({ perSecond: 1e-6, burst: 1 }, () => 0);
    assert.equal(buckets.take('first'), 0);
    for (let number = 0; number < 10_000; number += 1) buckets.take(`name ${number}`);
    assert.equal(buckets.take('first'), 0, 'was forgotten, so its bucket is full again');
    assert.notEqual(buckets.take('name 9999'), 0);
  });
});
