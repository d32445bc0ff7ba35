import assert from 'node:assert/strict';
import type { Alert } from '../../../../plugins/serving/monitor/alerts/alert.ts';
import type { Notification, Sink } from '../../../../plugins/serving/monitor/notify/notification.ts';
import { Receiver, type ReceiverOptions } from '../../../../plugins/serving/monitor/notify/receiver.ts';
import { FakeHost } from '../../../support/fake-host.ts';

const TIMES = { groupWaitMs: 0, groupIntervalMs: 0, repeatIntervalMs: 0, sendsResolved: true };

function alert(id: string, labels: Record<string, string> = {}): Alert {
  return {
    id,
    ruleId: 'r',
    labels: { alertname: 'A', ...labels },
    annotations: { summary: `${id} is wrong` },
    value: 7,
    state: 'firing',
    activeMs: 1_000,
    firedMs: 2_000,
    seenMs: 2_000,
  };
}

function shown({ alerts }: Notification): string {
  return alerts.map(({ id, isFiring }) => (isFiring ? '+' : '-') + id).join(' ');
}

describe('a receiver of alerts', () => {
  let host: FakeHost;
  let sent: Notification[];
  let failure: Error | undefined;

  beforeEach(() => {
    host = new FakeHost({ nowMs: 10_000 });
    sent = [];
    failure = undefined;
  });

  afterEach(() => host.close());

  const keeping: Sink = {
    send: async (notification) => {
      sent.push(notification);
      if (failure !== undefined) throw failure;
    },
  };

  function receiver(options: Partial<ReceiverOptions> = {}): Receiver {
    const count = { add: () => undefined };
    return new Receiver(
      {
        name: 'r',
        matchers: [],
        groupBy: ['alertname'],
        times: TIMES,
        timeoutMs: 5_000,
        sink: keeping,
        ...options,
      },
      {
        clock: host.clock,
        storage: host.storage,
        log: host.log,
        signal: host.signal,
        failures: count,
        deliveries: count,
      },
    );
  }

  async function update(told: Receiver, nowMs: number, ...alerts: readonly Alert[]): Promise<string[]> {
    host.nowMs = nowMs;
    const before = sent.length;
    told.update(alerts, alerts);
    await told.idle();
    return sent.slice(before).map(shown);
  }

  it('is told once of what begins and what ends', async () => {
    const told = receiver();
    assert.deepEqual(await update(told, 1, alert('1')), ['+1']);
    assert.deepEqual(await update(told, 2, alert('1')), []);
    assert.deepEqual(await update(told, 3, alert('1'), alert('2')), ['+1 +2']);
    assert.deepEqual(await update(told, 4, alert('2')), ['+2 -1']);
    assert.deepEqual(await update(told, 5), ['-2']);
    assert.deepEqual(await update(told, 6), []);
  });

  it('is told of each group by itself, and when its times say so', async () => {
    const times = { ...TIMES, groupWaitMs: 10, groupIntervalMs: 100, repeatIntervalMs: 1_000 };
    const told = receiver({ groupBy: ['m'], times });
    const [one, two, other] = [alert('1', { m: 'x' }), alert('2', { m: 'x' }), alert('3', { m: 'y' })];
    assert.deepEqual(await update(told, 100, one), []);
    assert.deepEqual(await update(told, 105, one, other), []);
    assert.deepEqual(await update(told, 110, one, two, other), ['+1 +2']);
    assert.deepEqual(await update(told, 115, one, two, other), ['+3']);
    assert.deepEqual(await update(told, 209, one), []);
    assert.deepEqual(await update(told, 210, one), ['+1 -2']);
    assert.deepEqual(await update(told, 215, one), ['-3']);
    assert.deepEqual(await update(told, 1_209, one), []);
    assert.deepEqual(await update(told, 1_210, one), ['+1']);
  });

  it('is not told that a silenced alert ended, nor again when the silence is over', async () => {
    const told = receiver();
    assert.deepEqual(await update(told, 1, alert('1')), ['+1']);
    told.update([], [alert('1')]);
    await told.idle();
    assert.deepEqual(await update(told, 3, alert('1')), []);
    assert.deepEqual(sent.map(shown), ['+1']);
  });

  it('hears of no end that it does not want to hear of', async () => {
    const told = receiver({ times: { ...TIMES, sendsResolved: false } });
    assert.deepEqual(await update(told, 1, alert('1')), ['+1']);
    assert.deepEqual(await update(told, 2), []);
    assert.deepEqual(await update(told, 3, alert('1')), ['+1']);
  });

  it('is told again with the same id until it takes it, after growing pauses', async () => {
    const told = receiver();
    failure = new Error('down');
    assert.deepEqual(await update(told, 1_000, alert('1')), ['+1']);
    assert.deepEqual(await update(told, 1_001, alert('1')), []);
    assert.deepEqual(await update(told, 2_000, alert('1')), ['+1']);
    assert.deepEqual(await update(told, 2_999, alert('1')), []);
    failure = undefined;
    assert.deepEqual(await update(told, 4_000, alert('1')), ['+1']);
    assert.equal(new Set(sent.map(({ id }) => id)).size, 1);
    assert.deepEqual(told.health(), { name: 'r', problem: '', failures: 0 });
    assert.deepEqual(
      host.lines.map(({ level }) => level),
      ['warn', 'info'],
    );
  });

  it('gets a new id for each thing there is to tell', async () => {
    const told = receiver();
    await update(told, 1, alert('1'));
    await update(told, 2);
    await update(told, 3, alert('1'));
    assert.equal(new Set(sent.map(({ id }) => id)).size, 3);
  });

  it('remembers over a restart what it was told', async () => {
    await update(receiver(), 1, alert('1'), alert('2'));
    const again = receiver();
    await again.load();
    assert.deepEqual(await update(again, 2, alert('1')), ['+1 -2']);
  });

  it('gets the same id when the program was killed before it knew that the message was taken', async () => {
    host.storage.beforeWrite = () => {
      throw new Error('killed');
    };
    await update(receiver(), 1, alert('1'));
    host.storage.beforeWrite = () => undefined;
    const again = receiver();
    await again.load();
    assert.deepEqual(await update(again, 2, alert('1')), ['+1']);
    assert.equal(sent[0]?.id, sent[1]?.id);
  });

  it('holds nobody up while it takes its time', async () => {
    let release: () => void = () => undefined;
    const slow = receiver({
      sink: {
        send: (notification) => {
          sent.push(notification);
          return new Promise<void>((resolve) => {
            release = resolve;
          });
        },
      },
    });
    slow.update([alert('1')], [alert('1')]);
    for (let look = 0; look < 100; look += 1) slow.update([alert('1'), alert('2')], [alert('1'), alert('2')]);
    assert.equal(sent.length, 1);
    release();
    await slow.idle();
    slow.update([alert('2')], [alert('2')]);
    assert.deepEqual(sent.map(shown), ['+1', '+2 -1']);
    release();
    await slow.idle();
  });
});
