import assert from 'node:assert/strict';
import fc from 'fast-check';
import { LatencyWindow } from '../../../../plugins/serving/balance/latency-window.ts';

describe('a window of latencies', () => {
  it('knows percentiles to a tenth', () => {
    const latency = fc.double({ min: 0.02, max: 60_000, noNaN: true });
    fc.assert(
      fc.property(
        fc.array(latency, { minLength: 1 }),
        fc.integer({ min: 1, max: 100 }),
        (values, percent) => {
          const window = new LatencyWindow();
          for (const value of values) window.observe(value, 0);
          const sorted = values.toSorted((one, other) => one - other);
          const exact = sorted[Math.ceil((values.length * percent) / 100) - 1] ?? 0;
          const known = window.percentile(percent) ?? 0;
          assert.equal(window.count, values.length);
          assert.ok(known >= exact * 0.999 && known <= exact * 1.101, `${known} for ${exact}`);
        },
      ),
    );
  });

  it('forgets what is old, and all after a long silence', () => {
    const window = new LatencyWindow(1_000);
    window.observe(100, 0);
    window.observe(1, 1_000);
    assert.equal(window.count, 2);
    window.observe(1, 2_000);
    assert.equal(window.count, 2);
    assert.ok((window.percentile(100) ?? 0) < 2);
    window.observe(1, 9_000);
    assert.equal(window.count, 1);
  });

  it('says nothing without samples', () => {
    const window = new LatencyWindow();
    assert.equal(window.percentile(99), undefined);
    window.observe(5, 0);
    window.clear();
    assert.equal(window.percentile(99), undefined);
  });
});
