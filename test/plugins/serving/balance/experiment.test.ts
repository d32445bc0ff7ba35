import assert from 'node:assert/strict';
import { BalanceSubject, text } from './balance-subject.ts';

interface Exposure {
  readonly experiment: string;
  readonly split: string;
  readonly key: string;
}

describe('an experiment', function () {
  this.timeout(60_000);

  it('tells once for each key which split it saw, without the key', async () => {
    const subject = await BalanceSubject.start(['a', 'b', 'c']);
    try {
      await subject.set({
        model: 'tried',
        splits: ['a', 'b', 'c'].map((name) => subject.split(name, 1, name)),
        stickyKey: { source: { case: 'parameter', value: 'user' } },
        experiment: 'colours',
      });
      const seen = new Map<string, number>();
      for (let user = 0; user < 12; user += 1) {
        const parameters = { user: text(`user-${user}`) };
        const name = await subject.who('tried', { parameters });
        assert.equal(await subject.who('tried', { parameters }), name);
        seen.set(name, (seen.get(name) ?? 0) + 1);
      }
      const exposures: Exposure[] = [];
      for await (const payload of subject.events('serving.balance.exposures')) {
        exposures.push(payload as Exposure);
        if (exposures.length === 12) break;
      }
      const told = new Map<string, number>();
      for (const { split } of exposures) told.set(split, (told.get(split) ?? 0) + 1);
      assert.deepEqual(told, seen);
      assert.equal(new Set(exposures.map(({ key }) => key)).size, 12);
      assert.ok(
        exposures.every(({ key, experiment }) => /^[0-9a-f]{32}$/.test(key) && experiment === 'colours'),
      );
    } finally {
      await subject.stop();
    }
  });
});
