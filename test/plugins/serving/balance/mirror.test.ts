import assert from 'node:assert/strict';
import { status } from '@grpc/grpc-js';
import { BalanceService, type MirrorReport } from 'lamella/proto/lamella/serving/v1/balance_service';
import { eventually } from '../../../support/eventually.ts';
import { BalanceSubject } from './balance-subject.ts';
import { failure, numbers } from './inference-server.ts';

describe('a mirror', function () {
  this.timeout(60_000);
  let subject: BalanceSubject;

  before(async () => {
    subject = await BalanceSubject.start(['main', 'shadow']);
    subject.server('main').behaviour = () => numbers(1, 2, 3);
  });
  after(() => subject.stop());

  const reset = async (percent = 100): Promise<void> => {
    const mirror = { split: 'shadow', percent, relativeTolerance: 0.01, maxInFlight: 2 };
    const splits = [subject.split('stable', 1, 'main'), subject.split('shadow', 0, 'shadow')];
    await subject.set({ model: 'mirrored', splits, mirror });
  };
  const report = async (): Promise<MirrorReport> => {
    const answer = await subject.kernel.call(BalanceService).getMirrorReport({ model: 'mirrored' });
    return answer.report as MirrorReport;
  };
  const ask = (id: string): Promise<unknown> => subject.infer({ modelName: 'mirrored', id });

  it('compares answers within its tolerance and keeps what was different', async () => {
    await reset();
    const shadow = subject.server('shadow');
    const answers = [numbers(1, 2, 3.02), numbers(1, 2, 4), numbers(1, 2)];
    for (const [index, answer] of answers.entries()) {
      shadow.behaviour = () => answer;
      await ask(`r${index}`);
      await eventually(async () => Number((await report()).equal + (await report()).different) === index + 1);
    }
    shadow.behaviour = () => {
      throw failure(status.INTERNAL);
    };
    await ask('r3');
    await eventually(async () => (await report()).failed === 1n);
    const { equal, different, samples } = await report();
    assert.deepEqual([equal, different], [1n, 2n]);
    assert.deepEqual(
      samples.map(({ requestId, difference }) => `${requestId} ${difference}`),
      [
        'r3 it failed: it cannot',
        "r2 output 'y' has the shape [2] and not [3]",
        "r1 output 'y' has 4 at 2 and not 3",
      ],
    );
  });

  it('delays nobody, and leaves out what finds no room', async () => {
    await reset();
    let release: () => void = () => undefined;
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    subject.server('shadow').behaviour = async () => {
      await released;
      return numbers(1, 2, 3);
    };
    // All are answered although no copy is.
    for (let index = 0; index < 5; index += 1) await ask('x');
    assert.equal((await report()).leftOut, 3n);
    release();
    await eventually(async () => (await report()).equal === 2n);
  });
});
