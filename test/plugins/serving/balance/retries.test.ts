import assert from 'node:assert/strict';
import { durationFromMs } from '@bufbuild/protobuf/wkt';
import { status } from '@grpc/grpc-js';
import { BalancePolicy, HealthCheck } from 'lamella/proto/lamella/serving/v1/balance_service';
import { eventually } from '../../../support/eventually.ts';
import { rejection } from '../infer-subject.ts';
import { BalanceSubject, type TrafficInit } from './balance-subject.ts';
import { answerOf, type Behaviour, failure } from './inference-server.ts';

describe('extra calls of a balanced model', function () {
  this.timeout(60_000);
  let subject: BalanceSubject;

  before(async () => {
    subject = await BalanceSubject.start(['one', 'two']);
  });
  beforeEach(() => {
    for (const server of subject.servers) {
      server.behaviour = () => answerOf(server.name);
      server.requests = 0;
    }
  });
  after(() => subject.stop());

  const set = async (model: string, more: Partial<TrafficInit> = {}): Promise<void> => {
    await subject.set({
      model,
      splits: [subject.split('stable', 1, 'one', 'two')],
      policy: BalancePolicy.ROUND_ROBIN,
      idempotent: true,
      // What is left out would hide what is made again.
      outlier: { consecutiveFailures: 10_000 },
      ...more,
    } as TrafficInit);
  };
  const failing =
    (code: status, pushback?: string): Behaviour =>
    () => {
      throw failure(code, pushback);
    };
  const sent = (): number => subject.servers.reduce((sum, { requests }) => sum + requests, 0);

  it('makes a failed request again at another endpoint when it may run twice', async () => {
    subject.server('one').behaviour = failing(status.UNAVAILABLE);
    await set('again');
    assert.deepEqual(await subject.whoOften('again', 6), { two: 6 });
    await set('once', { idempotent: false });
    const ends = await Promise.allSettled(Array.from({ length: 6 }, () => subject.who('once')));
    assert.equal(ends.filter((end) => end.status === 'rejected').length, 3);
  });

  it('makes no request again that the caller is to blame for', async () => {
    for (const server of subject.servers) server.behaviour = failing(status.INVALID_ARGUMENT);
    await set('blame');
    await assert.rejects(subject.who('blame'));
    assert.equal(sent(), 1);
  });

  it('obeys a server that asks for no retry', async () => {
    for (const server of subject.servers) server.behaviour = failing(status.UNAVAILABLE, '-1');
    await set('pushed');
    await assert.rejects(subject.who('pushed'));
    assert.equal(sent(), 1);
  });

  it('waits as long as a server asks', async () => {
    const one = subject.server('one');
    one.behaviour = () => {
      if (one.requests === 1) throw failure(status.UNAVAILABLE, '60');
      return answerOf('one');
    };
    await set('patient', { splits: [subject.split('stable', 1, 'one')] });
    const startMs = performance.now();
    assert.equal(await subject.who('patient'), 'one');
    // Timers may be a little early.
    assert.ok(performance.now() - startMs >= 55);
  });

  it('adds a tenth and a reserve of ten when all endpoints fail', async () => {
    for (const server of subject.servers) server.behaviour = failing(status.UNAVAILABLE);
    await set('storm');
    const calls = 400;
    const ends = await Promise.allSettled(Array.from({ length: calls }, () => subject.who('storm')));
    assert.ok(ends.every((end) => end.status === 'rejected'));
    assert.ok(sent() <= calls * 1.1 + 12, String(sent()));
    assert.ok(sent() > calls, String(sent()));
  });

  it('loses no request while traffic is set again, although none may be made twice', async () => {
    const more = { idempotent: false, health: { check: HealthCheck.NONE } };
    await set('resetting', more);
    let isOver = false;
    const caller = async (): Promise<void> => {
      while (!isOver) await subject.who('resetting');
    };
    const callers = Promise.all(Array.from({ length: 8 }, caller));
    const resets = async (): Promise<void> => {
      for (let index = 0; index < 30; index += 1) await set('resetting', more);
    };
    await Promise.race([resets(), callers]).finally(() => {
      isOver = true;
    });
    await callers;
  });

  it('leaves other models alone when one fails for long', async () => {
    subject.server('one').behaviour = failing(status.INTERNAL);
    await set('broken', { splits: [subject.split('stable', 1, 'one')] });
    await set('well', { splits: [subject.split('stable', 1, 'two')] });
    await Promise.allSettled(Array.from({ length: 100 }, () => subject.who('broken')));
    assert.deepEqual(await subject.whoOften('well', 3), { two: 3 });
  });

  it('says what stands in the way when nobody listens', async () => {
    const [one] = subject.servers;
    one?.stop();
    try {
      await set('nobody', { splits: [subject.split('stable', 1, 'one')] });
      const { message } = await rejection(() => subject.who('nobody'));
      assert.match(message, /Nothing that speaks gRPC answers|The link to .* is closed|No endpoint of/);
    } finally {
      await one?.listen();
    }
  });

  it('asks a second endpoint when the first is slow, and cancels the loser', async () => {
    let isCancelled = false;
    subject.server('one').behaviour = async ({ cancelled }) => {
      await cancelled;
      isCancelled = true;
      return answerOf('one');
    };
    await set('hedged', { hedge: { delay: durationFromMs(20) } });
    // One of two requests in turn comes to the slow server first.
    assert.equal(await subject.who('hedged'), 'two');
    assert.equal(await subject.who('hedged'), 'two');
    await eventually(() => isCancelled);
  });

  it('takes the wait for a second endpoint from the percentile of what was answered', async () => {
    await set('learned', { hedge: { percentile: 90, budgetPercent: 5 } });
    await subject.whoOften('learned', 40);
    const [one, two] = [subject.server('one'), subject.server('two')];
    // Whoever is asked first is never done; the other one answers.
    let isFirst = true;
    for (const server of [one, two])
      server.behaviour = async ({ cancelled }) => {
        if (isFirst) {
          isFirst = false;
          await cancelled;
        }
        return answerOf(server.name);
      };
    assert.ok(['one', 'two'].includes(await subject.who('learned')));
  });

  it('hedges five of a hundred requests at the most, however slow all are', async () => {
    let release: () => void = () => undefined;
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    for (const server of subject.servers)
      server.behaviour = async () => {
        await released;
        return answerOf(server.name);
      };
    await set('budget', { hedge: { delay: durationFromMs(1), budgetPercent: 5 } });
    const calls = 200;
    const asked = Array.from({ length: calls }, () => subject.who('budget'));
    await eventually(() => sent() > calls);
    release();
    await Promise.all(asked);
    assert.ok(sent() <= calls * 1.05 + 1, String(sent()));
  });
});
