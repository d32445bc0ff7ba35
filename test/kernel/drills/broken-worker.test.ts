import assert from 'node:assert/strict';
import { startTestKernel, type TestKernel } from '../../../sdk/testing/index.ts';
import { EchoService } from '../../../examples/echo/gen/echo/v1/echo_service_pb.ts';
import { copyEcho, type EchoPlugin } from '../../support/echo-plugin.ts';
import { until } from './processes.ts';

const ID = 'example.echo';

/** What code of a plugin can do to the port that its thread shares with the kernel. */
const ATTACKS: Readonly<Record<string, readonly [code: string, reason: RegExp]>> = {
  'posts nothing at all': ['port.postMessage(null)', /no kind that there is/],
  'posts a kind that is inherited': [
    "port.postMessage({ kind: 'constructor', id: 1 })",
    /no kind that there is/,
  ],
  'answers without a status': [
    "for (let id = 1; id < 99; id += 2) port.postMessage({ kind: 'fail', id })",
    /'fail' lacks what it must hold/,
  ],
  'tells what nobody knows': ["port.postMessage({ kind: 'tell', name: 'nonsense' })", /tells as 'nonsense'/],
  'tells samples that are none': [
    "port.postMessage({ kind: 'tell', name: 'samples', value: 5 })",
    /'samples'/,
  ],
  'takes a number of the kernel': [
    "port.postMessage({ kind: 'open', id: 1, path: '/a.B/C', bytes: new Uint8Array(0) })",
    /number that is taken/,
  ],
  'sends without credit': [
    `const bytes = new Uint8Array(300000);
     for (let id = 1; id < 99; id += 2) for (let n = 0; n < 9; n += 1) port.postMessage({ kind: 'message', id, bytes })`,
    /without credit/,
  ],
};

describe('drill: a worker that breaks the protocol of its port', function () {
  this.timeout(60_000);
  let kernel: TestKernel;
  let plugin: EchoPlugin;

  async function start(attack: string): Promise<void> {
    plugin = await copyEcho();
    await plugin.replaceCode(
      'if (delayMs > 0)',
      `if (delayMs === 13) {
        const { port } = (await import('node:worker_threads')).workerData;
        ${attack};
      }
      if (delayMs > 0)`,
    );
    const config = { rollbackWindowMs: 0, plugins: { [ID]: { isolation: 'WORKER' } } };
    kernel = await startTestKernel({ plugins: [plugin.directory], config });
  }

  afterEach(async () => {
    await kernel.stop();
    await plugin.remove();
  });

  for (const [what, [attack, reason]] of Object.entries(ATTACKS)) {
    it(`and ${what} is ended with the reason, started again, and the kernel lives on`, async () => {
      await start(attack);
      const client = kernel.call(EchoService);
      const abort = new AbortController();
      const open = client.repeat(
        { count: 1_000_000, payload: Buffer.alloc(20_000) },
        { signal: abort.signal },
      );
      const reading = open[Symbol.asyncIterator]();
      const first = what.includes('credit') ? reading.next() : undefined;
      await first;
      await client.say({ delayMs: 13 }).catch(() => undefined);
      let why = '';
      await until('the reason is told', () => {
        why = kernel.describe(ID).reason;
        return why !== '';
      });
      assert.match(why, reason);
      assert.match(why, /broke the protocol of its port/);
      assert.equal((await client.say({})).version, '0.1.0');
      assert.equal(kernel.describe(ID).restarts, 1);
      abort.abort();
      await first?.catch(() => undefined);
    });
  }
});
