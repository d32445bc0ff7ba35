import assert from 'node:assert/strict';
import { CallQueue } from '../../../kernel/server/grpc/call-queue.ts';

/** Longer than the time in which one turn of the event loop begins calls. */
const BUSY_MS = 6;

function keepBusy(): void {
  const endMs = performance.now() + BUSY_MS;
  while (performance.now() < endMs);
}

async function turn(): Promise<void> {
  await new Promise<void>((resolve) => {
    setImmediate(resolve);
  });
}

describe('CallQueue', () => {
  it('begins calls as they come while there is time in the turn', () => {
    const queue = new CallQueue();
    const begun: number[] = [];
    for (let call = 0; call < 3; call += 1) queue.add({ begin: () => void begun.push(call) });
    assert.deepEqual(begun, [0, 1, 2]);
  });

  it('lets others have their turn between calls that take long, and begins the calls in their order', async () => {
    const queue = new CallQueue();
    const happened: string[] = [];
    for (let call = 0; call < 3; call += 1) {
      queue.add({
        begin: () => {
          happened.push(`call ${call}`);
          keepBusy();
        },
      });
    }
    assert.deepEqual(happened, ['call 0']);
    while (happened.length < 5) {
      await turn();
      happened.push('other');
    }
    assert.deepEqual(happened.slice(0, 5), ['call 0', 'call 1', 'other', 'call 2', 'other']);
  });

  it('says how long what comes now would wait, and that nothing waits once the turn is over', async () => {
    const queue = new CallQueue();
    queue.add({ begin: keepBusy });
    assert.ok(queue.turnMs() >= BUSY_MS);
    queue.add({ begin: keepBusy });
    const startMs = performance.now();
    keepBusy();
    assert.ok(queue.waitMs() >= performance.now() - startMs - 1);
    await turn();
    await turn();
    assert.ok(queue.waitMs() < BUSY_MS);
  });

  it('begins each of very many calls once', async () => {
    const queue = new CallQueue();
    const counts = new Uint8Array(5_000);
    queue.add({ begin: keepBusy });
    for (let call = 0; call < counts.length; call += 1) {
      queue.add({ begin: () => void (counts[call] = (counts[call] ?? 0) + 1) });
    }
    for (let turns = 0; turns < 100; turns += 1) await turn();
    assert.ok(counts.every((count) => count === 1));
  });
});
