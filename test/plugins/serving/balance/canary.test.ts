import assert from 'node:assert/strict';
import { durationFromMs } from '@bufbuild/protobuf/wkt';
import { status } from '@grpc/grpc-js';
import { BalanceService, CanaryState } from 'lamella/proto/lamella/serving/v1/balance_service';
import { eventually } from '../../../support/eventually.ts';
import { rejection } from '../infer-subject.ts';
import { BalanceSubject, text, type TrafficInit } from './balance-subject.ts';
import { answerOf, failure } from './inference-server.ts';

describe('a canary', function () {
  this.timeout(60_000);
  let subject: BalanceSubject;

  before(async () => {
    subject = await BalanceSubject.start(['old', 'new']);
  });
  beforeEach(() => {
    for (const server of subject.servers) server.behaviour = () => answerOf(server.name);
  });
  after(() => subject.stop());

  const traffic = (model: string, canary: NonNullable<TrafficInit['canary']>): TrafficInit => ({
    model,
    splits: [subject.split('stable', 1, 'old'), subject.split('canary', 0, 'new')],
    stickyKey: { source: { case: 'parameter', value: 'user' } },
    // A busy machine is slow, not the candidate.
    canary: { interval: durationFromMs(1), minRequests: 5, maxP99Percent: 100_000, ...canary },
  });
  /** Calls until the canary has ended; how many failed. */
  const callUntil = async (model: string, state: CanaryState): Promise<number> => {
    let failures = 0;
    await eventually(async () => {
      const ends = await Promise.allSettled(Array.from({ length: 20 }, () => subject.who(model)));
      failures += ends.filter((end) => end.status === 'rejected').length;
      return (await subject.get(model)).canaryStatus?.state === state;
    });
    return failures;
  };

  it('that is as good as the baseline grows step by step and gets everything', async () => {
    const set = await subject.set(traffic('good', { steps: [10, 50] }));
    assert.equal(set.canaryStatus?.percent, 10);
    assert.equal(await callUntil('good', CanaryState.PROMOTED), 0);
    assert.deepEqual(await subject.whoOften('good', 10), { new: 10 });
  });

  it('that breaks is taken back by itself, and few callers notice', async () => {
    subject.server('new').behaviour = () => {
      throw failure(status.INTERNAL);
    };
    await subject.set(traffic('bad', { steps: [20], interval: durationFromMs(60_000) }));
    const failures = await callUntil('bad', CanaryState.ROLLED_BACK);
    assert.ok(failures < 40, String(failures));
    const { canaryStatus } = await subject.get('bad');
    assert.match(canaryStatus?.reason ?? '', /requests of the candidate failed/);
    assert.deepEqual(await subject.whoOften('bad', 20), { old: 20 });
  });

  it('keeps the callers that it has while it grows', async () => {
    const model = 'sticky-canary';
    await subject.set(traffic(model, { steps: [20, 60], manual: true }));
    const users = Array.from({ length: 60 }, (_, user) => ({ user: text(`user-${user}`) }));
    const ofCanary = async (): Promise<Set<number>> => {
      const names = await Promise.all(users.map((parameters) => subject.who(model, { parameters })));
      return new Set([...names.entries()].filter(([, name]) => name === 'new').map(([user]) => user));
    };
    const first = await ofCanary();
    await subject.kernel.call(BalanceService).promoteCanary({ model });
    const second = await ofCanary();
    assert.ok(first.size > 0 && second.size > first.size, `${first.size} ${second.size}`);
    assert.deepEqual(
      [...first].filter((user) => !second.has(user)),
      [],
    );
  });

  it('is moved by hand, and every change is an event', async () => {
    const balance = subject.kernel.call(BalanceService);
    const model = 'by-hand';
    await subject.set(traffic(model, { manual: true }));
    const { traffic: promoted } = await balance.promoteCanary({ model, complete: true });
    assert.equal(promoted?.canaryStatus?.state, CanaryState.PROMOTED);
    const { traffic: back } = await balance.rollbackCanary({ model, reason: 'answers are odd' });
    assert.equal(back?.canaryStatus?.state, CanaryState.ROLLED_BACK);
    assert.deepEqual(await subject.whoOften(model, 5), { old: 5 });
    const { message } = await rejection(() => balance.promoteCanary({ model }));
    assert.match(message, /The canary of 'by-hand' is rolled back/);
    const changes: unknown[] = [];
    for await (const payload of subject.events('serving.balance.changes')) {
      const change = payload as { readonly model?: string; readonly change: string };
      if (change.model === model) changes.push(change.change);
      if (changes.length === 3) break;
    }
    assert.deepEqual(changes, ['set', 'canary promoted', 'canary rolled back']);
  });
});
