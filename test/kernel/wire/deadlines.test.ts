import assert from 'node:assert/strict';
import { NOWHERE } from '../../../kernel/indexed-set.ts';
import { Deadlines, type Expiring } from '../../../kernel/wire/deadlines.ts';

/** In no set, and not begun. */
const NEW = { index: NOWHERE, expiresAtMs: Infinity };

describe('Deadlines', () => {
  it('expires each at its moment, the earliest first, and none that was removed', async () => {
    const deadlines = new Deadlines();
    const startMs = Date.now();
    const expired: string[] = [];
    await new Promise<void>((resolve) => {
      const item = (name: string, afterMs: number): Expiring => ({
        ...NEW,
        deadlineMs: startMs + afterMs,
        expire: () => {
          assert.ok(Date.now() >= startMs + afterMs);
          expired.push(name);
          if (name === 'late') resolve();
        },
      });
      const removed = item('removed', 15);
      for (const added of [item('late', 60), item('early', 10), item('middle', 30), removed])
        deadlines.add(added);
      deadlines.remove(removed);
      // The timer of the deadlines does not keep the process alive; this one does.
      setTimeout(() => undefined, 100);
    });
    assert.deepEqual(expired, ['early', 'middle', 'late']);
  });

  it('takes a deadline beyond what a timer can hold', () => {
    const deadlines = new Deadlines();
    deadlines.add({ ...NEW, deadlineMs: Date.now() + 1e12, expire: () => assert.fail('it expired at once') });
    deadlines.clear();
  });
});
