import assert from 'node:assert/strict';
import { Call } from '../../../kernel/call.ts';
import { Retirement } from '../../../kernel/loader/retirement.ts';
import { createLogger } from '../../../kernel/logger.ts';
import { fakeInstance } from '../../support/fake-instance.ts';

const log = createLogger({ level: 'silent' });

function call(): Call {
  return new Call({ readHeaders: () => new Map(), readPeer: () => 'test' });
}

describe('Retirement', () => {
  it('waits for the calls, then in STANDBY, then stops the instance', async () => {
    const instance = fakeInstance();
    const running = call();
    void instance.load.enter(running);
    const retirement = new Retirement(instance, { drainMs: 60_000, standbyMs: 60_000, log });
    assert.equal(retirement.state, 'DRAINING');
    instance.load.leave(running);
    await turn();
    assert.equal(retirement.state, 'STANDBY');
    retirement.expire();
    await retirement.done;
    assert.deepEqual([retirement.state, instance.stops], ['STOPPED', 1]);
    assert.equal(retirement.recall(), false);
  });

  for (const when of ['DRAINING', 'STANDBY'] as const) {
    it(`leaves everything as it is when it is called back while ${when}`, async () => {
      const instance = fakeInstance();
      const running = call();
      if (when === 'DRAINING') void instance.load.enter(running);
      const retirement = new Retirement(instance, { drainMs: 60_000, standbyMs: 60_000, log });
      await turn();
      assert.equal(retirement.state, when);
      assert.equal(retirement.recall(), true);
      await retirement.done;
      assert.deepEqual([instance.stops, running.signal.aborted], [0, false]);
    });
  }

  it('aborts calls that do not end in time', async () => {
    const instance = fakeInstance();
    const running = call();
    void instance.load.enter(running);
    await new Retirement(instance, { drainMs: 1, standbyMs: 0, log }).done;
    assert.match(String(running.signal.reason), /did not end within 0\.001 s; retry/);
    assert.equal(instance.stops, 1);
  });

  it('ends STANDBY by itself', async () => {
    const instance = fakeInstance();
    const retirement = new Retirement(instance, { drainMs: 60_000, standbyMs: 1, log });
    await retirement.done;
    assert.deepEqual([retirement.state, instance.stops], ['STOPPED', 1]);
  });
});

async function turn(): Promise<void> {
  await new Promise<void>((resolve) => {
    setImmediate(resolve);
  });
}
