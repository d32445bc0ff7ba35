import assert from 'node:assert/strict';
import { OutlierRecord, type OutlierRules, Outliers } from '../../../../plugins/serving/balance/outliers.ts';

const RULES: OutlierRules = {
  consecutiveFailures: 5,
  ejectionMs: 1_000,
  maxEjectionMs: 2_500,
  maxEjectionPercent: 50,
  intervalMs: 10_000,
  failurePercent: 50,
  minRequests: 10,
  successRateDeviation: 1.2,
};

describe('endpoints that fail', () => {
  let records: OutlierRecord[];
  let outliers: Outliers;

  beforeEach(() => {
    records = Array.from({ length: 4 }, () => new OutlierRecord());
    outliers = new Outliers(RULES, records);
  });

  /** Requests of an endpoint at a moment; `failed` of them fail, never two in a row where that is possible. */
  const requests = (
    place: number,
    { count, failed, nowMs }: Record<'count' | 'failed' | 'nowMs', number>,
  ): void => {
    for (let index = 0; index < count; index += 1) {
      const hasFailed = Math.floor(((index + 1) * failed) / count) > Math.floor((index * failed) / count);
      outliers.record(records[place] as OutlierRecord, hasFailed, nowMs);
    }
  };
  const ejected = (nowMs: number): number[] =>
    [...records.entries()].filter(([, record]) => record.isEjected(nowMs)).map(([place]) => place);

  it('in a row are left out, longer each time up to a limit, and come back by themselves', () => {
    let nowMs = 0;
    for (const lengthMs of [1_000, 2_000, 2_500, 2_500]) {
      requests(0, { count: 5, failed: 5, nowMs });
      assert.deepEqual(ejected(nowMs + lengthMs - 1), [0]);
      assert.deepEqual(ejected(nowMs + lengthMs), []);
      nowMs += lengthMs;
    }
  });

  it('are not left out when a request between is answered', () => {
    requests(0, { count: 4, failed: 4, nowMs: 0 });
    requests(0, { count: 1, failed: 0, nowMs: 0 });
    requests(0, { count: 4, failed: 4, nowMs: 0 });
    assert.deepEqual(ejected(0), []);
  });

  it('for a large part of their requests are left out at the end of an interval', () => {
    requests(0, { count: 20, failed: 12, nowMs: 0 });
    requests(1, { count: 20, failed: 0, nowMs: 0 });
    // Too few to say something.
    requests(2, { count: 9, failed: 6, nowMs: 0 });
    assert.deepEqual(ejected(0), []);
    requests(1, { count: 1, failed: 0, nowMs: 10_000 });
    assert.deepEqual(ejected(10_000), [0]);
    assert.equal(records[0]?.reason, '60 % of its requests failed');
  });

  it('more often than the others are left out although they fail seldom', () => {
    for (const place of [0, 1, 2]) requests(place, { count: 100, failed: 1, nowMs: 0 });
    requests(3, { count: 100, failed: 20, nowMs: 0 });
    requests(0, { count: 1, failed: 0, nowMs: 10_000 });
    assert.deepEqual(ejected(10_000), [3]);
    assert.equal(records[3]?.reason, '20 % failed, more than elsewhere');
  });

  it('are forgiven after a good interval', () => {
    requests(0, { count: 5, failed: 5, nowMs: 0 });
    requests(0, { count: 10, failed: 0, nowMs: 11_000 });
    requests(0, { count: 10, failed: 0, nowMs: 22_000 });
    requests(0, { count: 5, failed: 5, nowMs: 23_000 });
    assert.deepEqual(ejected(23_999), [0]);
    assert.deepEqual(ejected(24_000), []);
  });
});
