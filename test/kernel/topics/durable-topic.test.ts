import assert from 'node:assert/strict';
import type { EventBus } from '../../../kernel/events.ts';
import type { EventMessage } from '../../../sdk/index.ts';
import { makeHome, never, type OpenBus, openBus, reason, take } from './open-bus.ts';

describe('a durable topic', () => {
  let nowMs: number;
  let home: string;
  let remove: () => Promise<void>;
  let open: OpenBus;
  let bus: EventBus;
  const declare: OpenBus['declare'] = (topic) => open.declare(topic);

  const start = (): void => {
    open = openBus(home, { now: () => nowMs });
    ({ bus } = open);
  };

  beforeEach(async () => {
    nowMs = 1_000_000;
    ({ home, remove } = await makeHome());
    start();
  });

  afterEach(async () => {
    await open.close();
    await remove();
  });

  const publish = async (count: number): Promise<void> => {
    await Promise.all(Array.from({ length: count }, (_, index) => bus.accept('log', { index }, 'x.y')));
  };
  const from = (fromSequence: number, topic = 'log'): AsyncIterable<EventMessage> =>
    bus.subscribe([topic], { signal: never, fromSequence });

  beforeEach(() => void declare({ name: 'log', durable: true }));

  it('replays from any number and goes on with what comes', async () => {
    await publish(250);
    const events = take(from(1), 252);
    await publish(2);
    assert.deepEqual(
      (await events).map(({ sequence, dropped }) => [sequence, dropped]),
      Array.from({ length: 252 }, (_, index) => [index + 1, 0]),
    );
    assert.deepEqual(
      (await take(from(251), 2)).map(({ sequence }) => sequence),
      [251, 252],
    );
  });

  it('loses nothing for a reader that is slower than any buffer', async () => {
    const events = from(1)[Symbol.asyncIterator]();
    await publish(1);
    await events.next();
    await publish(1_500);
    let last = 1;
    while (last < 1_501) {
      const { value } = (await events.next()) as { value: EventMessage };
      assert.deepEqual([value.sequence, value.dropped], [last + 1, 0]);
      last = value.sequence;
    }
    await events.return?.();
    assert.equal(bus.droppedCount, 0);
  });

  it('goes on numbering after a restart and still has the events', async () => {
    await publish(3);
    await open.close();
    start();
    declare({ name: 'log', durable: true });
    assert.equal(await bus.accept('log', 'after', 'x.y'), 4);
    assert.deepEqual(
      (await take(from(2), 3)).map(({ sequence, payload }) => [sequence, payload]),
      [
        [2, { index: 1 }],
        [3, { index: 2 }],
        [4, 'after'],
      ],
    );
  });

  it('numbers what is published at the same time in the order of the calls, and delivers it so', async () => {
    const live = take(bus.subscribe(['log'], { signal: never }), 50);
    const numbers = await Promise.all(
      Array.from({ length: 50 }, (_, index) => bus.accept('log', index, 'x.y')),
    );
    assert.deepEqual(
      numbers,
      Array.from({ length: 50 }, (_, index) => index + 1),
    );
    assert.deepEqual(
      (await live).map(({ payload }) => payload),
      Array.from({ length: 50 }, (_, index) => index),
    );
  });

  it('keeps so many events and says how many are missing', async () => {
    for (let index = 1; index <= 200; index += 1) await bus.accept('kept.few', index, 'x.y');
    const [first] = await take(from(1, 'kept.few'), 1);
    assert.deepEqual([first?.sequence, first?.dropped], [196, 195]);
    const bounds = await open.journal.bounds('kept.few');
    assert.ok((bounds?.first ?? 0) > 128, 'what is no longer kept is removed from the disk');
  });

  it('keeps events so long, and their numbers longer', async () => {
    await bus.accept('kept.short', 1, 'x.y');
    nowMs += 1_001;
    const reading = take(from(1, 'kept.short'), 1);
    await new Promise(setImmediate);
    await bus.accept('kept.short', 2, 'x.y');
    assert.deepEqual(
      (await reading).map(({ sequence, dropped }) => [sequence, dropped]),
      [[2, 1]],
    );
    nowMs += 1_001;
    const [topic] = (await bus.list()).filter(({ name }) => name === 'kept.short');
    assert.deepEqual([topic?.firstSequence, topic?.lastSequence], [0, 2]);
    await open.close();
    start();
    assert.equal(await bus.accept('kept.short', 3, 'x.y'), 3);
  });

  it('refuses numbers of the future, of topics that keep nothing, and of several topics', async () => {
    await publish(1);
    await assert.rejects(take(from(3), 1), reason('SEQUENCE_AHEAD'));
    assert.throws(() => from(1, 'not.kept'), reason('TOPIC_NOT_DURABLE'));
    const options = { signal: never, fromSequence: 1 };
    assert.throws(() => bus.subscribe(['log', 'kept.few'], options), reason('SUBSCRIPTION_INVALID'));
    assert.throws(() => bus.subscribe(['lo*'], options), reason('SUBSCRIPTION_INVALID'));
  });

  it('tells the publisher when an event cannot be stored, shows it to nobody, and goes on', async () => {
    const live = take(bus.subscribe(['log'], { signal: never }), 2);
    await publish(1);
    const { journal } = open;
    const append = journal.append.bind(journal);
    journal.append = async () => {
      throw new Error('no room');
    };
    await assert.rejects(bus.accept('log', 'lost', 'x.y'), /no room/);
    journal.append = append;
    await bus.accept('log', 'kept', 'x.y');
    assert.deepEqual(
      (await live).map(({ sequence, payload }) => [sequence, payload]),
      [
        [1, { index: 0 }],
        [3, 'kept'],
      ],
    );
  });

  it('ends a reader that waits when its signal says so', async () => {
    const controller = new AbortController();
    const reading = take(bus.subscribe(['log'], { signal: controller.signal, fromSequence: 1 }), 5);
    await publish(1);
    controller.abort();
    assert.ok((await reading).length <= 1);
    assert.equal((await bus.list()).find(({ name }) => name === 'log')?.subscribers, 0);
  });
});
