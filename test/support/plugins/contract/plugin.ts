import { setTimeout as wait } from 'node:timers/promises';
import {
  type CallContext,
  Code,
  definePlugin,
  defineError,
  type ErrorType,
  type Host,
  type Plugin,
  type ServiceImplementation,
} from 'lamella/sdk';
import { EchoService } from '../../../../examples/echo/gen/echo/v1/echo_service_pb.ts';

const Refused: ErrorType<'what'> = defineError({
  reason: 'CONTRACT_REFUSED',
  code: Code.FAILED_PRECONDITION,
  message: ({ what }) => `The test plugin refuses ${what}; ask for something else.`,
});

type Command = (host: Host, context: CallContext) => unknown;

/** What calls have done to this instance. */
const counts = { cancelled: 0, produced: 0, taken: 0, endedChats: 0 };

/** What `say` does when its payload is one of these words; every other payload is sent back. */
const COMMANDS: Readonly<Record<string, Command>> = {
  counts: () => counts,
  refuse: () => {
    const violations = [{ field: 'payload', description: 'must not be refuse' }];
    throw new Refused({ what: 'refuse' }, { retryAfterMs: 1_500, violations });
  },
  break: () => {
    throw new TypeError('secret detail');
  },
  metadata: (_host, { headers, responseHeaders, responseTrailers }) => {
    for (const name of ['x-text', 'x-bytes-bin']) {
      const value = headers.get(name);
      if (value === undefined) continue;
      responseHeaders.set(`${name.replace('-bin', '')}-header${name.endsWith('-bin') ? '-bin' : ''}`, value);
      responseTrailers.set(
        `${name.replace('-bin', '')}-trailer${name.endsWith('-bin') ? '-bin' : ''}`,
        value,
      );
    }
  },
  deadline: (_host, { deadlineMs }) => ({ leftMs: (deadlineMs ?? Infinity) - Date.now() }),
  crash: async () => {
    setImmediate(() => {
      throw new Error('boom');
    });
    await wait(60_000);
  },
  fill: async () => {
    const kept: unknown[] = [];
    for (;;) {
      for (let index = 0; index < 1_000; index += 1) kept.push(Array.from({ length: 1_000 }, Math.random));
      await wait(0);
    }
  },
  hoard: async () => {
    const kept: Buffer[] = [];
    for (;;) {
      kept.push(Buffer.alloc(8 << 20, 1));
      await wait(kept.length < 40 ? 1 : 60_000);
    }
  },
  spin: () => {
    for (const endMs = Date.now() + 1_500; Date.now() < endMs;);
  },
  hang: () => {
    setImmediate(() => {
      for (;;);
    });
  },
  store: async ({ storage }) => {
    await storage.put('a/1', { big: 2n, bytes: new Uint8Array([1, 2]) });
    for (let index = 0; index < 300; index += 1) await storage.put(`b/${index}`, index);
    const deleted = [await storage.delete('b/7'), await storage.delete('b/7')];
    let count = 0;
    for await (const { key } of storage.range('b/')) count += key.startsWith('b/') ? 1 : 1_000;
    const value = await storage.get<{ big: bigint; bytes: Uint8Array }>('a/1');
    const missing = (await storage.get('none')) === undefined;
    return { deleted, count, big: String(value?.big), bytes: [...(value?.bytes ?? [])], missing };
  },
  measure: ({ metrics }) => {
    metrics.counter({ name: 'contract_counter', help: 'Counts.', labels: ['kind'] }).add(3, { kind: 'x' });
    metrics.gauge({ name: 'contract_gauge', help: 'Level.' }).set(7);
    metrics.histogram({ name: 'contract_histogram', help: 'Sizes.', buckets: [1, 10] }).observe(5);
  },
  secret: ({ secrets }) => ({ secret: secrets.get('password') }),
  publish: ({ events }) => events.publish('contract.told', { from: 'plugin' }),
  publishWrong: async ({ events }) =>
    events
      .publish('contract.told', {})
      .catch((error: unknown) => ({ reason: Reflect.get(error as object, 'reason') })),
  hear: async ({ events }) => {
    const heard = events.subscribe('contract.heard');
    await events.publish('contract.heard', { n: 1 });
    for await (const message of heard) return [message];
    return [];
  },
  log: ({ log }) => log.info('a line of the plugin', { number: 5 }),
  neighbour: async (host, context) => {
    const target = { extension: 'neighbour' };
    const { payload } = await host
      .call(EchoService, target)
      .say({ payload: Buffer.from('hello') }, { context });
    return { payload: Buffer.from(payload).toString() };
  },
};

function createService(host: Host): ServiceImplementation<typeof EchoService> {
  const { version } = host;
  return {
    say: async ({ payload, delayMs }, context) => {
      const command = payload.byteLength < 32 ? COMMANDS[Buffer.from(payload).toString()] : undefined;
      if (command !== undefined) {
        return { payload: Buffer.from(JSON.stringify((await command(host, context)) ?? {})), version };
      }
      if (delayMs > 0) {
        context.signal.addEventListener('abort', () => {
          counts.cancelled += 1;
        });
        await wait(delayMs, undefined, { signal: context.signal });
      }
      return { payload, version };
    },
    async *repeat({ payload, count }) {
      for (let sent = 0; sent < count; sent += 1) {
        counts.produced += 1;
        yield { payload };
      }
    },
    join: async (requests, { signal }) => {
      const payloads: Uint8Array[] = [];
      for await (const { payload } of requests) {
        counts.taken += 1;
        // A reader that has stopped reading.
        if (Buffer.from(payload.subarray(0, 4)).toString() === 'stop')
          await wait(60_000, undefined, { signal });
        payloads.push(payload);
      }
      return { payload: Buffer.concat(payloads) };
    },
    async *chat(requests) {
      try {
        for await (const { payload } of requests) yield { payload, version };
      } finally {
        counts.endedChats += 1;
      }
    },
  };
}

const plugin: Plugin = definePlugin({
  start(host) {
    host.serve(EchoService, createService(host));
    host.own({
      close: async () => {
        if (Reflect.get(host.config as object, 'hangsInStop') === true) await wait(60_000);
      },
    });
  },
});
export default plugin;
