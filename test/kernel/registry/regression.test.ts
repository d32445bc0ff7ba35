import assert from 'node:assert/strict';
import { isRegression } from '../../../kernel/registry/regression.ts';

const well = { calls: 1_000, faults: 0 };

describe('isRegression', () => {
  it('says nothing of fewer than 20 calls', () => {
    assert.equal(isRegression({ calls: 19, faults: 19 }, well), false);
    assert.equal(isRegression({ calls: 20, faults: 20 }, well), true);
  });

  it('does not mind what chance explains', () => {
    assert.equal(isRegression({ calls: 20, faults: 1 }, well), false);
    assert.equal(isRegression({ calls: 20, faults: 2 }, well), true);
    assert.equal(isRegression({ calls: 1_000, faults: 27 }, well), false);
    assert.equal(isRegression({ calls: 1_000, faults: 28 }, well), true);
  });

  it('compares with the version before, which may have failed as well', () => {
    assert.equal(isRegression({ calls: 100, faults: 50 }, { calls: 100, faults: 50 }), false);
    assert.equal(isRegression({ calls: 100, faults: 80 }, { calls: 100, faults: 50 }), true);
  });

  it('takes a version without calls for one that never failed', () => {
    assert.equal(isRegression({ calls: 100, faults: 50 }, { calls: 0, faults: 0 }), true);
  });
});
