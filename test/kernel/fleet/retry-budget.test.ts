import assert from 'node:assert/strict';
import { RetryBudget } from '../../../kernel/fleet/retry-budget.ts';

/** How many retries there are in a row. */
function spendAll(budget: RetryBudget): number {
  let spent = 0;
  while (budget.spend()) spent += 1;
  return spent;
}

describe('a budget of retries', () => {
  it('has a reserve that comes back with time', () => {
    let nowMs = 0;
    const budget = new RetryBudget(() => nowMs);
    assert.equal(spendAll(budget), 100);
    nowMs = 1_000;
    assert.equal(spendAll(budget), 10);
    nowMs = 3_600_000;
    assert.equal(spendAll(budget), 100);
  });

  it('allows one for five calls that went well, and saves up a bounded number', () => {
    const budget = new RetryBudget(() => 0);
    spendAll(budget);
    for (let call = 0; call < 500; call += 1) budget.earn();
    const spent = spendAll(budget);
    assert.ok(spent >= 99 && spent <= 101, String(spent));
    for (let call = 0; call < 1_000_000; call += 1) budget.earn();
    assert.ok(spendAll(budget) <= 2_001);
  });
});
