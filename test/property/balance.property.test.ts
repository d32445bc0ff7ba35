import assert from 'node:assert/strict';
import fc from 'fast-check';
import { CallBudget } from '../../plugins/serving/balance/call-budget.ts';
import { combined, hashOf, unitOf } from '../../plugins/serving/balance/key-hash.ts';
import { OutlierRecord, Outliers } from '../../plugins/serving/balance/outliers.ts';
import { type Choice, ConsistentHash, Weighted } from '../../plugins/serving/balance/pickers.ts';
import { shareAt, sharesWith } from '../../plugins/serving/balance/shares.ts';

const weights = fc.array(fc.integer({ min: 0, max: 100 }), { minLength: 1, maxLength: 8 });
const someWeights = weights.filter((list) => list.some((weight) => weight > 0));
const sharesOf = (list: readonly number[]): { label: string; weight: number }[] =>
  list.map((weight, index) => ({ label: `s${index}`, weight }));
const choices = (list: readonly number[]): Choice[] =>
  list.map((weight, index) => ({ weight, inFlight: 0, seed: hashOf(`10.0.0.${index}:8001`) }));

describe('pure parts of the balancer', () => {
  it('give each split its weight of the points, and none to a weight of 0', () => {
    fc.assert(
      fc.property(someWeights, (list) => {
        const shares = sharesOf(list);
        const total = list.reduce((sum, weight) => sum + weight, 0);
        const points = 2_000;
        const counts = new Map<string, number>();
        for (let index = 0; index < points; index += 1) {
          const label = shareAt(shares, (index + 0.5) / points)?.label ?? '';
          counts.set(label, (counts.get(label) ?? 0) + 1);
        }
        for (const { label, weight } of shares) {
          const expected = (points * weight) / total;
          assert.ok(Math.abs((counts.get(label) ?? 0) - expected) <= 1, `${label} ${expected}`);
        }
      }),
    );
  });

  it('keep a key at the candidate while its share grows, and move no other key', () => {
    const percent = fc.integer({ min: 0, max: 100 });
    const point = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
    fc.assert(
      fc.property(weights, fc.tuple(percent, percent), point, (list, [one, other], at) => {
        const [less, more] = [Math.min(one, other), Math.max(one, other)];
        const shares = [{ label: 'stable', weight: 10 }, { label: 'canary', weight: 0 }, ...sharesOf(list)];
        const labelAt = (share: number): string | undefined =>
          shareAt(sharesWith(shares, { candidate: 'canary', baseline: 'stable', percent: share }), at)?.label;
        const [before, after] = [labelAt(less), labelAt(more)];
        if (before !== 'stable') assert.equal(after, before);
        else assert.ok(after === 'stable' || after === 'canary');
      }),
    );
  });

  it('give neighbouring keys an even spread', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 20 }), fc.integer({ min: 2, max: 10 }), (prefix, parts) => {
        const counts = Array.from({ length: parts }, () => 0);
        const keys = 4_000;
        for (let key = 0; key < keys; key += 1) {
          const part = Math.floor(unitOf(combined(hashOf('model'), hashOf(`${prefix}${key}`))) * parts);
          counts[part] = (counts[part] ?? 0) + 1;
        }
        // Six standard deviations.
        const limit = 6 * Math.sqrt(keys / parts);
        assert.ok(
          counts.every((count) => Math.abs(count - keys / parts) < limit),
          counts.join(),
        );
      }),
      { numRuns: 20 },
    );
  });

  it('move only the keys of an endpoint that goes, about its part of them', () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 12 }), fc.nat(), (count, salt) => {
        const hash = new ConsistentHash();
        const all = choices(Array.from({ length: count }, () => 1));
        const left = all.slice(1);
        const keys = 1_000;
        let moved = 0;
        for (let key = 0; key < keys; key += 1) {
          const keyHash = hashOf(`${salt}-${key}`);
          const before = hash.pick(all, keyHash);
          const after = hash.pick(left, keyHash);
          if (before === after) continue;
          assert.equal(before, all[0]);
          moved += 1;
        }
        assert.ok(moved < keys / count + 6 * Math.sqrt(keys / count), `${moved} of ${keys} at ${count}`);
      }),
      { numRuns: 30 },
    );
  });

  it('let no endpoint have far more than its part, whatever the keys', () => {
    const load = fc.array(fc.integer({ min: 0, max: 50 }), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(load, fc.nat(), (loads, keyHash) => {
        const items = loads.map((inFlight, index) => ({ weight: 1, inFlight, seed: hashOf(String(index)) }));
        const picked = new ConsistentHash().pick(items, keyHash);
        const mean = (loads.reduce((sum, each) => sum + each, 0) + 1) / loads.length;
        assert.ok(picked !== undefined && picked.inFlight < Math.ceil(1.25 * mean));
      }),
    );
  });

  it('take endpoints in turn exactly as often as their weights say', () => {
    const positive = fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(positive, (list) => {
        const items = choices(list);
        const weighted = new Weighted();
        const counts = new Map<Choice, number>();
        const round = list.reduce((sum, weight) => sum + weight, 0);
        for (let index = 0; index < round; index += 1) {
          const item = weighted.pick(items) as Choice;
          counts.set(item, (counts.get(item) ?? 0) + 1);
        }
        for (const item of items) assert.equal(counts.get(item), item.weight);
      }),
    );
  });

  it('never leave out more endpoints than the rules allow, and always keep one', () => {
    const event = fc.record({
      member: fc.nat({ max: 7 }),
      hasFailed: fc.boolean(),
      afterMs: fc.integer({ min: 0, max: 2_000 }),
    });
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 8 }),
        fc.integer({ min: 0, max: 100 }),
        fc.array(event, { maxLength: 200 }),
        (count, maxEjectionPercent, events) => {
          const records = Array.from({ length: count }, () => new OutlierRecord());
          const rules = {
            consecutiveFailures: 2,
            ejectionMs: 3_000,
            maxEjectionMs: 20_000,
            maxEjectionPercent,
            intervalMs: 1_000,
            failurePercent: 50,
            minRequests: 3,
            successRateDeviation: 1,
          };
          const outliers = new Outliers(rules, records);
          let nowMs = 0;
          for (const { member, hasFailed, afterMs } of events) {
            nowMs += afterMs;
            const record = records[member % count] as OutlierRecord;
            outliers.record(record, hasFailed, nowMs);
            const out = records.filter((each) => each.isEjected(nowMs)).length;
            assert.ok(out <= Math.min(count - 1, (count * maxEjectionPercent) / 100), `${out} of ${count}`);
            assert.ok(records.every(({ ejectedUntilMs }) => ejectedUntilMs <= nowMs + rules.maxEjectionMs));
          }
        },
      ),
    );
  });

  it('keep extra calls below their share and the reserve', () => {
    const steps = fc.array(fc.boolean(), { maxLength: 500 });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 100 }), steps, (percent, wishes) => {
        const budget = new CallBudget({ percent, reserve: 10 }, () => 0);
        let extra = 0;
        let calls = 0;
        for (const isCall of wishes) {
          if (isCall) {
            calls += 1;
            budget.earn();
          } else if (budget.spend()) extra += 1;
          assert.ok(extra <= 10 + (calls * percent) / 100 + 1e-6);
        }
      }),
    );
  });
});
