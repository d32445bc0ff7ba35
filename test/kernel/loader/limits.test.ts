import assert from 'node:assert/strict';
import { type Client, Code, isDeclaredError } from '../../../sdk/index.ts';
import { startTestKernel, type TestKernel } from '../../../sdk/testing/index.ts';
import { EchoService } from '../../../examples/echo/gen/echo/v1/echo_service_pb.ts';
import { copyEcho } from '../../support/echo-plugin.ts';

const ID = 'example.echo';

/** Runs a test against the contract plugin with limits; everything is gone afterwards. */
async function withLimits(
  { resources = {}, settings = {} }: { resources?: object; settings?: object },
  test: (client: Client<typeof EchoService>, kernel: TestKernel) => Promise<void>,
): Promise<void> {
  const plugin = await copyEcho();
  await plugin.useContractPlugin();
  await plugin.setManifest({ resources });
  const kernel = await startTestKernel({
    plugins: [plugin.directory],
    config: { plugins: { [ID]: settings } },
  });
  try {
    await test(kernel.call(EchoService), kernel);
  } finally {
    await kernel.stop();
    await plugin.remove();
  }
}

/** Reasons with which calls failed; `ok` for those that did not. */
async function outcomes(calls: readonly Promise<unknown>[]): Promise<string[]> {
  const settled = await Promise.allSettled(calls);
  return settled.map((result) => {
    if (result.status === 'fulfilled') return 'ok';
    return isDeclaredError(result.reason) ? result.reason.reason : String(result.reason);
  });
}

const command = (text: string): { payload: Uint8Array } => ({ payload: Buffer.from(text) });

describe('limits of a plugin', function () {
  this.timeout(60_000);

  it('run so many calls at once, let so many wait, and refuse the rest with a pushback', async () => {
    await withLimits({ resources: { concurrency: 2, queue: 3 } }, async (client) => {
      const calls = Array.from({ length: 8 }, () => client.say({ delayMs: 30 }));
      assert.deepEqual(await outcomes(calls), [
        ...Array.from({ length: 5 }, () => 'ok'),
        ...Array.from({ length: 3 }, () => 'TOO_MANY_CALLS'),
      ]);
      const late = Array.from({ length: 6 }, () => client.say({ delayMs: 30 }));
      await assert.rejects(late.at(-1) ?? Promise.resolve(), (error) => {
        assert.ok(isDeclaredError(error));
        assert.deepEqual([error.code, error.retryAfterMs], [Code.RESOURCE_EXHAUSTED, 250]);
        return true;
      });
      await Promise.allSettled(late);
    });
  });

  it('let a call leave the queue when its caller gives up, and streams count too', async () => {
    await withLimits({ resources: { concurrency: 1, queue: 1 } }, async (client) => {
      const answers = client.repeat({ count: 2 })[Symbol.asyncIterator]();
      await answers.next();
      const controller = new AbortController();
      const waiting = client.say({}, { signal: controller.signal });
      const failure = assert.rejects(waiting);
      assert.deepEqual(await outcomes([client.say({})]), ['TOO_MANY_CALLS']);
      controller.abort();
      await failure;
      const next = client.say({});
      await answers.return?.();
      assert.deepEqual(await outcomes([next]), ['ok']);
    });
  });

  it('drain calls that wait before an instance is replaced', async () => {
    await withLimits({ resources: { concurrency: 1 } }, async (client, kernel) => {
      const calls = Array.from({ length: 4 }, () => client.say({ delayMs: 30 }));
      await kernel.reload(ID);
      assert.deepEqual(await outcomes(calls), ['ok', 'ok', 'ok', 'ok']);
    });
  });

  it('hold the rate that the operator allows, over a reload too', async () => {
    await withLimits({ settings: { rateLimit: { perSecond: 0.1, burst: 2 } } }, async (client, kernel) => {
      assert.deepEqual(await outcomes([client.say({}), client.say({}), client.say({})]), [
        'ok',
        'ok',
        'PLUGIN_RATE_LIMITED',
      ]);
      await kernel.reload(ID);
      await assert.rejects(client.say({}), (error) => {
        assert.ok(isDeclaredError(error));
        assert.equal(error.code, Code.RESOURCE_EXHAUSTED);
        assert.ok((error.retryAfterMs ?? 0) > 1_000);
        return true;
      });
    });
  });

  it('keep calls away from an instance that fails most of them, until one goes well', async () => {
    const circuitBreaker = { minimumCalls: 4, openMs: 200 };
    await withLimits({ settings: { circuitBreaker } }, async (client, kernel) => {
      for (let call = 0; call < 4; call += 1) await assert.rejects(client.say(command('break')));
      await assert.rejects(client.say({}), (error) => {
        assert.ok(isDeclaredError(error));
        assert.deepEqual([error.reason, error.code], ['CIRCUIT_OPEN', Code.UNAVAILABLE]);
        assert.ok((error.retryAfterMs ?? 0) > 0 && (error.retryAfterMs ?? 0) <= 200);
        return true;
      });
      const metrics = async (): Promise<string> =>
        (await fetch(`http://${kernel.addresses.metrics}/metrics`)).text();
      assert.match(await metrics(), /lamella_plugin_circuit_open\{plugin="example\.echo"\} 1/);
      for (const endMs = Date.now() + 5_000; Date.now() < endMs;) {
        if ((await outcomes([client.say({})]))[0] === 'ok') break;
        await fetch(`http://${kernel.addresses.metrics}/metrics`);
      }
      assert.deepEqual(await outcomes([client.say({}), client.say({})]), ['ok', 'ok']);
      assert.match(await metrics(), /lamella_plugin_circuit_open\{plugin="example\.echo"\} 0/);
    });
  });

  it('count neither refusals nor deadlines that were too short as faults', async () => {
    const circuitBreaker = { minimumCalls: 4 };
    await withLimits({ settings: { circuitBreaker } }, async (client) => {
      for (let call = 0; call < 6; call += 1) {
        await assert.rejects(client.say(command('refuse')));
        await assert.rejects(client.say({ delayMs: 10_000 }, { timeoutMs: 5 }));
      }
      assert.deepEqual(await outcomes([client.say({})]), ['ok']);
    });
  });

  for (const isolation of ['WORKER', 'PROCESS'] as const) {
    it(`end a plugin at ${isolation} that holds more memory than it may, and name the limit`, async () => {
      if (isolation === 'PROCESS' && process.platform !== 'linux') return;
      await withLimits({ resources: { memoryMib: 100 }, settings: { isolation } }, async (client, kernel) => {
        await assert.rejects(
          client.say(command('hoard')),
          (error) => isDeclaredError(error) && error.code === Code.UNAVAILABLE,
        );
        let reason = '';
        // The calls' connection ends a moment before the exit is told.
        for (const endMs = Date.now() + 2_000; reason === '' && Date.now() < endMs;) {
          ({ reason } = kernel.describe(ID));
          await new Promise<void>((resolve) => {
            setImmediate(resolve);
          });
        }
        assert.match(reason, /out of memory: it used \d+ MiB, its limit resources\.memoryMib is 100/);
        assert.deepEqual(await outcomes([client.say({})]), ['ok']);
      });
    });
  }
});
