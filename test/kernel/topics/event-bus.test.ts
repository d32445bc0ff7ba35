import assert from 'node:assert/strict';
import { create } from '@bufbuild/protobuf';
import { PublishRequestSchema } from '../../../proto/gen/lamella/kernel/v1/event_service_pb.ts';
import { TopicSchema } from '../../../proto/gen/lamella/kernel/v1/manifest_pb.ts';
import type { EventBus } from '../../../kernel/events.ts';
import { makeHome, never, type OpenBus, openBus, reason, take } from './open-bus.ts';

describe('the event bus', () => {
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

  it('gives an event to all who subscribed before it, with number, time and source', async () => {
    const [one, other] = [
      bus.subscribe(['a.b'], { signal: never }),
      bus.subscribe(['a.*'], { signal: never }),
    ];
    await bus.accept('a.b', { n: 1 }, 'test.plugin');
    const expected = {
      topic: 'a.b',
      payload: { n: 1 },
      source: 'test.plugin',
      timeMs: nowMs,
      sequence: 1,
      dropped: 0,
    };
    assert.deepEqual(await take(one, 1), [expected]);
    assert.deepEqual(await take(other, 1), [expected]);
  });

  it('gives an event once to a subscription that names it in two ways', async () => {
    const events = bus.subscribe(['a.b', 'a.*', '*'], { signal: never });
    await bus.accept('a.b', 1, 'x.y');
    await bus.accept('a.c', 2, 'x.y');
    assert.deepEqual(
      (await take(events, 2)).map(({ payload }) => payload),
      [1, 2],
    );
  });

  it('serves a hundred subscribers, each in order and without a gap', async () => {
    const readers = Array.from({ length: 100 }, () => take(bus.subscribe(['many'], { signal: never }), 200));
    for (let index = 1; index <= 200; index += 1) await bus.accept('many', index, 'x.y');
    for (const events of await Promise.all(readers)) {
      assert.deepEqual(
        events.map(({ sequence, payload, dropped }) => [sequence, payload, dropped]),
        Array.from({ length: 200 }, (_, index) => [index + 1, index + 1, 0]),
      );
    }
    assert.equal(bus.droppedCount, 0);
  });

  it('drops the oldest events of a slow subscriber, tells it how many, and keeps nobody else waiting', async () => {
    const slow = bus.subscribe(['busy'], { signal: never });
    const fast = take(bus.subscribe(['busy'], { signal: never }), 1_500);
    for (let index = 1; index <= 1_500; index += 1) {
      await bus.accept('busy', index, 'x.y');
      if (index % 100 === 0) await new Promise(setImmediate);
    }
    assert.equal((await fast).at(-1)?.sequence, 1_500);
    const [first, second] = await take(slow, 2);
    assert.deepEqual([first?.sequence, first?.dropped], [501, 500]);
    assert.deepEqual([second?.sequence, second?.dropped], [502, 0]);
    assert.equal(bus.droppedCount, 500);
    assert.match(await open.metrics.exposition(), /lamella_events_dropped_total\{topic="undeclared"\} 500\n/);
    assert.match(
      await open.metrics.exposition(),
      /lamella_events_published_total\{topic="undeclared"\} 1500\n/,
    );
  });

  it('bounds the buffer of a slow subscriber by bytes too', async () => {
    const slow = bus.subscribe(['big'], { signal: never });
    const payload = 'x'.repeat(1_000_000);
    for (let index = 0; index < 40; index += 1) await bus.accept('big', payload, 'x.y');
    const [first] = await take(slow, 1);
    assert.equal(first?.dropped, 24);
  });

  it('ends with the signal and forgets the subscriber', async () => {
    const controller = new AbortController();
    const reading = take(bus.subscribe(['gone', 'also.*'], { signal: controller.signal }), 2);
    await bus.accept('gone', 1, 'x.y');
    controller.abort();
    assert.equal((await reading).length, 1);
    await bus.accept('gone', 2, 'x.y');
    const [topic] = (await bus.list()).filter(({ name }) => name === 'gone');
    assert.deepEqual([topic?.subscribers, topic?.dropped, topic?.lastSequence], [0, 0, 2]);
  });

  it('gives every subscriber the same frozen copy', async () => {
    const events = bus.subscribe(['copy'], { signal: never });
    const payload = { list: [1] };
    await bus.accept('copy', payload, 'x.y');
    payload.list.push(2);
    const [event] = await take(events, 1);
    assert.deepEqual(event?.payload, { list: [1] });
    assert.throws(() => (event as { payload: typeof payload }).payload.list.push(3), TypeError);
  });

  it('refuses what is no topic, no JSON, too large or too deep', async () => {
    const circle: Record<string, unknown> = {};
    circle['self'] = circle;
    let deep: unknown = 1;
    for (let depth = 0; depth < 101; depth += 1) deep = [deep];
    let abyss: unknown = 1;
    for (let depth = 0; depth < 100_000; depth += 1) abyss = [abyss];
    for (const name of ['', 'A', 'a b', 'a..b', '*', 'a.*', 'x'.repeat(201), '__proto__', 'a/b']) {
      await assert.rejects(bus.accept(name, 1, 'x.y'), reason('TOPIC_INVALID'), name);
    }
    for (const payload of [circle, 1n, () => 1, deep, abyss]) {
      await assert.rejects(bus.accept('a', payload, 'x.y'), reason('EVENT_INVALID'));
    }
    await assert.rejects(bus.accept('a', 'x'.repeat(1 << 20), 'x.y'), reason('EVENT_TOO_LARGE'));
    assert.throws(() => bus.subscribe(['a*b'], { signal: never }), reason('TOPIC_INVALID'));
    assert.throws(() => bus.subscribe([], { signal: never }), reason('SUBSCRIPTION_INVALID'));
  });

  it('keeps its own topics to itself', async () => {
    await assert.rejects(bus.accept('kernel.audit', {}, 'evil.plugin'), reason('TOPIC_RESERVED'));
    const events = bus.subscribe(['kernel.*'], { signal: never });
    bus.publish('kernel.audit', { action: 'denied' });
    assert.equal((await take(events, 1))[0]?.source, 'kernel');
  });

  it('counts no more topics than it has room for', async () => {
    await assert.rejects(async () => {
      for (let index = 0; index <= 10_000; index += 1) await bus.accept(`made.up-${index}`, 1, 'x.y');
    }, reason('TOO_MANY_TOPICS'));
  });

  it('checks a payload by the JSON Schema or the message that the topic declares', async () => {
    declare({
      name: 'typed.schema',
      schema: { type: 'object', required: ['id'], properties: { id: { type: 'string' } } },
    });
    await bus.accept('typed.schema', { id: 'a' }, 'x.y');
    await assert.rejects(bus.accept('typed.schema', { id: 1 }, 'x.y'), /\/id must be string/);
    await assert.rejects(bus.accept('typed.schema', {}, 'x.y'), reason('EVENT_INVALID'));
    declare({ name: 'typed.message', message: PublishRequestSchema.typeName });
    await bus.accept('typed.message', { topic: 'x' }, 'x.y');
    await assert.rejects(bus.accept('typed.message', { topic: 1 }, 'x.y'), reason('EVENT_INVALID'));
    await assert.rejects(bus.accept('typed.message', { other: 'x' }, 'x.y'), reason('EVENT_INVALID'));
    // The declarations of the version before are gone.
    await bus.accept('typed.schema', 5, 'x.y');
    declare({ name: 'typed.message', message: 'unknown.v1.Message' });
    await assert.rejects(bus.accept('typed.message', {}, 'x.y'), /no service that is loaded/);
  });

  it('lets one plugin declare a topic, and puts the declaration back when its next version does not start', async () => {
    declare({ name: 'mine', schema: { type: 'number' } });
    assert.throws(
      () => bus.topics.declare('test.other', [create(TopicSchema, { name: 'mine' })]),
      reason('TOPIC_CONFLICT'),
    );
    assert.throws(
      () => bus.topics.declare('test.other', [create(TopicSchema, { name: 'kernel.plugins' })]),
      reason('TOPIC_CONFLICT'),
    );
    const undo = declare({ name: 'mine', schema: { type: 'string' } });
    await assert.rejects(bus.accept('mine', 1, 'x.y'), reason('EVENT_INVALID'));
    undo();
    await bus.accept('mine', 1, 'x.y');
  });
});
