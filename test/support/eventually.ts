import assert from 'node:assert/strict';

/** Asks again and again until something holds, at most for 20 s; for what gives no event. */
export async function eventually(holds: () => boolean | Promise<boolean>): Promise<void> {
  for (const endMs = Date.now() + 20_000; Date.now() < endMs;) {
    if (await holds()) return;
    // A question that is answered at once would never let timers and sockets have their turn.
    await new Promise<void>((resolve) => {
      setTimeout(resolve, 5);
    });
  }
  assert.fail('it did not come true within 20 s');
}
