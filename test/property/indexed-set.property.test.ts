import assert from 'node:assert/strict';
import fc from 'fast-check';
import { type Indexed, IndexedSet, NOWHERE } from '../../kernel/indexed-set.ts';
import { FUZZ_TIMEOUT_MS } from '../support/fuzz-runs.ts';

const steps = fc.array(fc.tuple(fc.constantFrom('add', 'delete'), fc.nat(7)), { maxLength: 60 });

describe('IndexedSet, for any sequence of items that come and go', function () {
  this.timeout(FUZZ_TIMEOUT_MS);

  it('holds what a Set would hold', () => {
    fc.assert(
      fc.property(steps, (sequence) => {
        const items = Array.from({ length: 8 }, (): Indexed => ({ index: NOWHERE }));
        const [mine, model] = [new IndexedSet<Indexed>(), new Set<Indexed>()];
        for (const [step, number] of sequence) {
          const item = items[number];
          assert.ok(item !== undefined);
          if (step === 'add') {
            mine.add(item);
            model.add(item);
          } else assert.equal(mine.delete(item), model.delete(item));
          assert.equal(mine.size, model.size);
          assert.deepEqual(new Set(mine.values()), model);
        }
      }),
    );
  });

  it('does not let go of an item of another set', () => {
    const item: Indexed = { index: NOWHERE };
    const [own, other] = [new IndexedSet<Indexed>(), new IndexedSet<Indexed>()];
    own.add(item);
    other.add({ index: NOWHERE });
    assert.equal(other.delete(item), false);
    assert.equal(own.size, 1);
  });
});
