import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { watch } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fromJson, type JsonValue } from '@bufbuild/protobuf';
import { ValueSchema } from '@bufbuild/protobuf/wkt';
import {
  EventService,
  type SubscribeResponse,
} from '../../../proto/gen/lamella/kernel/v1/event_service_pb.ts';
import { EchoService } from '../../../examples/echo/gen/echo/v1/echo_service_pb.ts';
import { readOwnerFile } from '../../../kernel/access/owner-token.ts';
import { createClient, EncodingTransport } from '../../../kernel/client.ts';
import { LinkTransport } from '../../../kernel/kernel-link.ts';
import { LinkClient } from '../../../kernel/link/link-client.ts';
import type { Client } from '../../../sdk/index.ts';
import { startTestKernel, type TestKernel } from '../../../sdk/testing/index.ts';
import { copyEcho, type EchoPlugin, ROOT } from '../../support/echo-plugin.ts';
import { runLamella } from '../../support/run-lamella.ts';

const value = (json: JsonValue): ReturnType<typeof fromJson<typeof ValueSchema>> =>
  fromJson(ValueSchema, json);

async function take(answers: AsyncIterable<SubscribeResponse>, count: number): Promise<SubscribeResponse[]> {
  const taken: SubscribeResponse[] = [];
  for await (const answer of answers) {
    if (answer.event === undefined) continue;
    taken.push(answer);
    if (taken.length === count) break;
  }
  return taken;
}

/** A client from outside, with the owner's rights. */
async function outside(home: string): Promise<{ events: Client<typeof EventService>; link: LinkClient }> {
  const owner = await readOwnerFile(home);
  assert.ok(owner !== undefined);
  const [host = '', port] = owner.grpc.split(':');
  const link = await LinkClient.connect({ host, port: Number(port) });
  const headers = new Map([['authorization', `Bearer ${owner.token}`]]);
  return {
    link,
    events: createClient(EventService, new EncodingTransport(new LinkTransport(link)), { headers }),
  };
}

const TOPICS = {
  topics: [
    { name: 'contract.told', durable: true, schema: { type: 'object', required: ['from'] } },
    { name: 'contract.heard' },
  ],
};

for (const isolation of ['INLINE', 'WORKER', 'PROCESS'] as const) {
  describe(`the topics of a plugin at isolation ${isolation}`, function () {
    this.timeout(30_000);
    let kernel: TestKernel;
    let plugin: EchoPlugin;
    let events: Client<typeof EventService>;

    const say = async (command: string): Promise<unknown> => {
      const { payload } = await kernel.call(EchoService).say({ payload: Buffer.from(command) });
      return JSON.parse(Buffer.from(payload).toString());
    };

    before(async () => {
      plugin = await copyEcho();
      await plugin.useContractPlugin();
      await plugin.setManifest(TOPICS);
      const config = { plugins: { 'example.echo': { isolation } } };
      kernel = await startTestKernel({ plugins: [plugin.directory], config });
      events = kernel.call(EventService);
    });

    after(async () => {
      await kernel.stop();
      await plugin.remove();
    });

    it('carry what it publishes, with its id, and keep it', async () => {
      await say('publish');
      const [first] = await take(events.subscribe({ topics: ['contract.told'], fromSequence: 1n }), 1);
      assert.deepEqual(
        [first?.event?.sequence, first?.event?.source, first?.event?.payload],
        [1n, 'example.echo', value({ from: 'plugin' })],
      );
    });

    it('refuse what does not fit, and the plugin learns it', async () => {
      assert.deepEqual(await say('publishWrong'), { reason: 'EVENT_INVALID' });
    });

    it('bring it events from the moment it subscribes', async () => {
      const [heard] = (await say('hear')) as { payload: unknown; sequence: number; dropped: number }[];
      assert.deepEqual([heard?.payload, heard?.dropped], [{ n: 1 }, 0]);
    });

    it('are listed with their declaration and owner', async () => {
      const { topics } = await events.listTopics({});
      const told = topics.find(({ name }) => name === 'contract.told');
      assert.deepEqual(
        [told?.owner, told?.declaration?.durable, told?.declaration?.maxEvents],
        ['example.echo', true, 10_000],
      );
    });
  });
}

describe('events and the clients of a kernel', function () {
  this.timeout(60_000);
  let home: string;
  let kernel: TestKernel;
  let plugin: EchoPlugin;
  const config = { topics: { 'orders.placed': { durable: true } } };

  beforeEach(async () => {
    home = await mkdtemp(path.join(tmpdir(), 'lamella-events-'));
    plugin = await copyEcho();
    kernel = await startTestKernel({ plugins: [plugin.directory], home, config });
  });

  afterEach(async () => {
    await kernel.stop();
    await plugin.remove();
    await rm(home, { recursive: true, force: true });
  });

  it('let a client from outside subscribe, tell it when the subscription stands, and end it when it cancels', async () => {
    const { events, link } = await outside(home);
    const controller = new AbortController();
    const request = { topics: ['news', 'more.*'] };
    const answers = events.subscribe(request, { signal: controller.signal })[Symbol.asyncIterator]();
    const next = async (): Promise<unknown[]> => {
      const { value: answer } = (await answers.next()) as { value: SubscribeResponse };
      return [answer.event?.topic, answer.event?.payload, answer.event?.sequence];
    };
    assert.deepEqual(await next(), [undefined, undefined, undefined]);
    await events.publish({ topic: 'news', payload: value('one') });
    await events.publish({ topic: 'more.things', payload: value('two') });
    assert.deepEqual(await next(), ['news', value('one'), 1n]);
    assert.deepEqual(await next(), ['more.things', value('two'), 1n]);
    assert.equal(await subscribers(events, 'news'), 1);
    const waiting = answers.next();
    controller.abort();
    await assert.rejects(waiting);
    // Nothing tells when the kernel has seen the cancellation; a subscription that stays makes this run out of time.
    while ((await subscribers(events, 'news')) > 0);
    await link.close();
  });

  it('let a client that was cut off resume at the number it had, over a restart', async () => {
    const before = await outside(home);
    const placed = { topic: 'orders.placed' };
    for (let order = 1; order <= 5; order += 1) {
      await before.events.publish({ ...placed, payload: value({ order }) });
    }
    const seen = await take(before.events.subscribe({ topics: [placed.topic], fromSequence: 1n }), 2);
    await before.link.close();
    await kernel.stop();
    kernel = await startTestKernel({ plugins: [], home, config });
    const after = await outside(home);
    const fromSequence = (seen.at(-1)?.event?.sequence ?? 0n) + 1n;
    const { sequence } = await after.events.publish({ ...placed, payload: value({ order: 6 }) });
    assert.equal(sequence, 6n);
    const rest = await take(after.events.subscribe({ topics: [placed.topic], fromSequence }), 4);
    assert.deepEqual(
      rest.map(({ event, dropped }) => [event?.sequence, event?.payload, dropped]),
      [3, 4, 5, 6].map((order) => [BigInt(order), value({ order }), 0n]),
    );
    await after.link.close();
  });

  it('tell every change of a plugin on kernel.plugins', async () => {
    const events = kernel.call(EventService);
    const answers = events.subscribe({ topics: ['kernel.plugins'] })[Symbol.asyncIterator]();
    await answers.next();
    const reading = take({ [Symbol.asyncIterator]: () => answers }, 3);
    await kernel.unload('example.echo');
    const states = (await reading).map(({ event }) => event?.payload?.kind);
    assert.deepEqual(
      states.map(({ value: struct }: { value?: unknown } = {}) => {
        const { fields } = struct as { fields: Record<string, { kind: { value: unknown } }> };
        return [fields['id']?.kind.value, fields['previous']?.kind.value, fields['state']?.kind.value];
      }),
      [
        ['example.echo', 'ACTIVE', 'DRAINING'],
        ['example.echo', 'DRAINING', 'STOPPED'],
        ['example.echo', 'STOPPED', 'REMOVED'],
      ],
    );
  });

  it('count what was published and dropped', async () => {
    await kernel.call(EventService).publish({ topic: 'orders.placed', payload: value(1) });
    const text = await (await fetch(`http://${kernel.addresses.metrics}/metrics`)).text();
    assert.match(text, /lamella_events_published_total\{topic="orders.placed"\} 1\n/);
  });

  it('are shown by lamella events: from a number on, as JSON or as lines, and which topics there are', async () => {
    const events = kernel.call(EventService);
    for (const order of [1, 2]) await events.publish({ topic: 'orders.placed', payload: value({ order }) });
    const words = ['events', 'orders.placed', '--home', home, '--limit', '2', '--from', '1'];
    const json = await runLamella([...words, '--json']);
    const rows = json.out.split('\n').map((line) => JSON.parse(line) as Record<string, unknown>);
    assert.deepEqual(
      rows.map(({ topic, sequence, payload, dropped }) => ({ topic, sequence, payload, dropped })),
      [1, 2].map((order) => ({ topic: 'orders.placed', sequence: order, payload: { order }, dropped: 0 })),
    );
    assert.match((await runLamella(words)).out, /^20\S+Z orders\.placed 1 \S+ \{"order":1\}\n20/);
    const list = await runLamella(['events', '--list', '--home', home]);
    assert.match(list.out, /orders\.placed +config\.json +yes +1 +2 +0 +0/);
    assert.match(list.out, /kernel\.plugins +kernel +no/);
    const refused = await runLamella(['events', 'orders.*', '--from', '1', '--home', home]);
    assert.deepEqual([refused.code, /SUBSCRIPTION_INVALID/.test(refused.err)], [1, true]);
    assert.equal((await runLamella(['events', '--from', 'one'])).code, 2);
  });
});

describe('a kernel that is killed while clients publish', function () {
  this.timeout(60_000);

  it('has lost no event that it acknowledged', async () => {
    const home = await mkdtemp(path.join(tmpdir(), 'lamella-killed-'));
    const config = { topics: { 'orders.placed': { durable: true } } };
    await writeFile(path.join(home, 'config.json'), JSON.stringify(config));
    const ready = path.join(home, 'ready.json');
    const ports = ['--grpc-port', '0', '--http-port', '0', '--metrics-port', '0'];
    const main = path.join(ROOT, 'dist/kernel/cli/main.js');
    const words = [main, 'start', '--home', home, ...ports, '--ready-file', ready];
    const child = spawn(process.execPath, words, { stdio: 'ignore' });
    for await (const { filename } of watchFolder(home)) if (filename === 'ready.json') break;
    await readFile(ready);
    const { events, link } = await outside(home);
    const acknowledged = new Map<bigint, JsonValue>();
    let order = 0;
    const publisher = async (): Promise<void> => {
      for (;;) {
        order += 1;
        const payload = { order };
        const { sequence } = await events.publish({ topic: 'orders.placed', payload: value(payload) });
        acknowledged.set(sequence, payload);
        if (acknowledged.size === 300) child.kill('SIGKILL');
      }
    };
    const outcomes = await Promise.allSettled(Array.from({ length: 20 }, publisher));
    assert.ok(outcomes.every(({ status }) => status === 'rejected'));
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    await link.close();
    const kernel = await startTestKernel({ plugins: [], home });
    const { sequence } = await kernel.call(EventService).publish({ topic: 'orders.placed' });
    const kept = new Map<bigint, unknown>();
    for await (const { event } of kernel
      .call(EventService)
      .subscribe({ topics: ['orders.placed'], fromSequence: 1n })) {
      if (event !== undefined) kept.set(event.sequence, event.payload);
      if (event?.sequence === sequence) break;
    }
    assert.ok(acknowledged.size >= 300);
    for (const [number, payload] of acknowledged) assert.deepEqual(kept.get(number), value(payload));
    await kernel.stop();
    await rm(home, { recursive: true, force: true });
  });
});

async function* watchFolder(folder: string): AsyncGenerator<{ filename: string | null }> {
  const watcher = watch(folder);
  try {
    for (;;) {
      const [, filename] = (await once(watcher, 'change')) as [string, string | null];
      yield { filename };
    }
  } finally {
    watcher.close();
  }
}

async function subscribers(events: Client<typeof EventService>, topic: string): Promise<number> {
  const { topics } = await events.listTopics({ pageSize: 1000 });
  return topics.find(({ name }) => name === topic)?.subscribers ?? 0;
}
