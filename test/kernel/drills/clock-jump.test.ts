import assert from 'node:assert/strict';
import { KeyStore } from '../../../kernel/access/key-store.ts';
import { RateLimits } from '../../../kernel/access/rate-limits.ts';
import { NOWHERE } from '../../../kernel/indexed-set.ts';
import { Deadlines } from '../../../kernel/wire/deadlines.ts';
import { CircuitBreaker } from '../../../kernel/loader/circuit-breaker.ts';
import { createLogger } from '../../../kernel/logger.ts';
import { Code } from '../../../sdk/index.ts';
import { startTestKernel, type TestKernel } from '../../../sdk/testing/index.ts';
import { EchoService } from '../../../examples/echo/gen/echo/v1/echo_service_pb.ts';
import { copyEcho, type EchoPlugin } from '../../support/echo-plugin.ts';
import { MemoryStorage } from '../access/memory-storage.ts';
import { rawCall, textMessage, until } from './processes.ts';

const HOUR_MS = 3_600_000;
const ID = 'example.echo';
const realNow = Date.now;

/** Sets the clock of this process, and with it that of a kernel in it, by so much. */
function setClock(byMs: number): void {
  Date.now = () => realNow() + byMs;
}

for (const [direction, jumpMs] of [
  ['back', -HOUR_MS],
  ['forward', HOUR_MS],
] as const) {
  describe(`drill: a clock that is set ${direction} by an hour`, function () {
    this.timeout(60_000);
    let kernel: TestKernel;
    let plugin: EchoPlugin;

    before(async () => {
      plugin = await copyEcho();
      const config = { plugins: { [ID]: { isolation: 'PROCESS' } } };
      kernel = await startTestKernel({ plugins: [plugin.directory], config });
    });

    after(async () => {
      await kernel.stop();
      await plugin.remove();
    });

    afterEach(() => {
      Date.now = realNow;
    });

    it('ends calls by the time they were given, neither at once nor an hour late', async () => {
      const client = kernel.call(EchoService);
      const short = client.say({ delayMs: 30_000 }, { timeoutMs: 500 });
      const long = client.say({ delayMs: 300 }, { timeoutMs: 20_000 });
      // Both are in the plugin when a later call has been answered.
      await client.say({});
      setClock(jumpMs);
      await assert.rejects(short, { code: Code.DEADLINE_EXCEEDED });
      assert.equal((await long).version, '0.1.0');
      assert.equal((await client.say({}, { timeoutMs: 20_000 })).version, '0.1.0');
      assert.equal(
        (await rawCall(kernel.addresses.grpc, '/echo.v1.EchoService/Say', textMessage('x'))).code,
        0,
      );
    });

    it('starts crashed plugins again after the same pauses, and gives none up for old crashes', async () => {
      setClock(jumpMs);
      for (let crash = 1; crash <= 2; crash += 1) {
        process.kill(kernel.describe(ID).pid ?? 0, 'SIGKILL');
        await until(
          'it runs again',
          () => kernel.describe(ID).restarts === crash && kernel.describe(ID).state === 'ACTIVE',
        );
        setClock(crash % 2 === 1 ? 0 : jumpMs);
      }
      assert.equal((await kernel.call(EchoService).say({})).version, '0.1.0');
    });

    it('neither locks anybody out by a rate or a circuit, nor lets anybody through', () => {
      const principal = { kind: 'key', name: 'key:one', grants: [] } as const;
      const limits = new RateLimits({ '*': { perSecond: 0.001, burst: 2 } });
      limits.count(principal);
      setClock(jumpMs);
      limits.count(principal);
      assert.throws(() => limits.count(principal), { reason: 'RATE_LIMITED' });
      const changes: boolean[] = [];
      const breaker = new CircuitBreaker(
        { faultRatio: 0.5, minimumCalls: 1, windowMs: 10_000, openMs: 60_000 },
        (isOpen) => changes.push(isOpen),
      );
      breaker.enter();
      breaker.leave(true);
      Date.now = realNow;
      const waitMs = breaker.enter();
      assert.ok(waitMs > 0 && waitMs <= 60_000, `${waitMs} ms`);
    });

    it('expires waiting calls in their order', async () => {
      const deadlines = new Deadlines();
      const expired: string[] = [];
      await new Promise<void>((resolve) => {
        const item = (name: string, afterMs: number): Parameters<Deadlines['add']>[0] => ({
          index: NOWHERE,
          expiresAtMs: Infinity,
          deadlineMs: Date.now() + afterMs,
          expire: () => {
            expired.push(name);
            if (expired.length === 2) resolve();
          },
        });
        deadlines.add(item('before the jump', 20));
        setClock(jumpMs);
        deadlines.add(item('after the jump', 60));
        // The timer of the deadlines does not keep the process alive.
        const alive = setInterval(() => expired.length === 2 && clearInterval(alive), 10);
      });
      assert.deepEqual(expired, ['before the jump', 'after the jump']);
    });

    it('decides by the time of day whether a key has expired', async () => {
      const clock = { now: () => Date.now() };
      const log = createLogger({ level: 'silent' });
      const keys = await KeyStore.open({ storage: new MemoryStorage(), clock, log });
      const { text } = await keys.create({
        name: 'one',
        scopes: ['user'],
        expiresMs: realNow() + HOUR_MS / 2,
      });
      setClock(jumpMs);
      if (jumpMs < 0) assert.equal(keys.verify(text).name, 'key:one');
      else assert.throws(() => keys.verify(text), /expired/);
      Date.now = realNow;
      assert.equal(keys.verify(text).name, 'key:one');
    });
  });
}
