import assert from 'node:assert/strict';
import { status } from '@grpc/grpc-js';
import { BalancePolicy } from 'lamella/proto/lamella/serving/v1/balance_service';
import { eventually } from '../../../support/eventually.ts';
import { rejection } from '../infer-subject.ts';
import { BalanceSubject } from './balance-subject.ts';
import { failure } from './inference-server.ts';

for (const isolation of ['WORKER', 'PROCESS'] as const) {
  describe(`serving.balance at isolation ${isolation}`, function () {
    this.timeout(60_000);
    let subject: BalanceSubject;

    before(async () => {
      subject = await BalanceSubject.start(['one', 'two'], { isolation });
      const splits = [subject.split('stable', 1, 'one', 'two')];
      const policy = BalancePolicy.ROUND_ROBIN;
      await subject.set({ model: 'turns', splits, policy });
    });
    after(() => subject?.stop());

    it('answers by several servers in turn', async () => {
      assert.deepEqual(await subject.whoOften('turns', 6), { one: 3, two: 3 });
    });

    it('refuses servers that were not granted, and passes on what servers answer', async () => {
      const splits = [{ label: 'stable', weight: 1, endpoints: [{ address: '127.0.0.1:9' }] }];
      const { message } = await rejection(() => subject.set({ model: 'x', splits }));
      assert.match(message, /may not use '127.0.0.1:9'/);
      for (const server of subject.servers)
        server.behaviour = () => {
          throw failure(status.INVALID_ARGUMENT);
        };
      const refused = await rejection(() => subject.who('turns'));
      assert.deepEqual([refused.code, refused.message], [status.INVALID_ARGUMENT, 'it cannot']);
    });

    // A thread cannot be killed from outside.
    if (isolation === 'WORKER') return;
    it('has its traffic again after it was killed', async () => {
      const { pid } = subject.kernel.describe('serving.balance');
      process.kill(pid ?? 0, 'SIGKILL');
      await eventually(() => {
        const now = subject.kernel.describe('serving.balance');
        return now.state === 'ACTIVE' && now.pid !== pid;
      });
      assert.equal((await subject.get('turns')).splits.length, 1);
    });
  });
}
