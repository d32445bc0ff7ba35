import assert from 'node:assert/strict';
import fc from 'fast-check';
import { StreamTable } from '../../kernel/wire/http2/stream-table.ts';
import { FUZZ_TIMEOUT_MS } from '../support/fuzz-runs.ts';

describe('the table of streams', function () {
  this.timeout(FUZZ_TIMEOUT_MS);

  it('is a map of what was added and not deleted, in whatever order', () => {
    // Ids that fall on the same places, and ids that lie far apart.
    const id = fc.oneof(fc.nat(80), fc.nat(2 ** 30)).map((number) => 2 * number + 1);
    const step = fc.record({ id, isDelete: fc.boolean() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
        const table = new StreamTable<{ id: number }>();
        const model = new Map<number, { id: number }>();
        for (const { id: number, isDelete } of steps) {
          const item = model.get(number) ?? { id: number };
          if (isDelete) table.delete(item);
          else if (!model.has(number)) table.add(item);
          if (isDelete) model.delete(number);
          else model.set(number, item);
          assert.equal(table.size, model.size);
        }
        for (const { id: number } of steps) assert.equal(table.get(number), model.get(number));
        assert.deepEqual(new Set(table.values()), new Set(model.values()));
      }),
    );
  });
});
