import assert from 'node:assert/strict';
import { AccessFeed } from '../../../kernel/observe/access-feed.ts';

describe('AccessFeed', () => {
  const line = (json: string) => ({ plugin: 'a.b', hasFailed: false, json });

  it('keeps 4096 lines for one who does not read, and says how many are missing where they are', async () => {
    const feed = new AccessFeed();
    const end = new AbortController();
    const lines = feed.watch({ plugin: '', failedOnly: false, signal: end.signal });
    await lines.next();
    for (let number = 0; number < 5_000; number += 1) feed.add(line(String(number)));
    for (let number = 0; number < 4_096; number += 1)
      assert.deepEqual((await lines.next()).value, { json: String(number), dropped: 0 });
    feed.add(line('next'));
    assert.deepEqual((await lines.next()).value, { json: 'next', dropped: 5_000 - 4_096 });
    feed.add(line('last'));
    assert.deepEqual((await lines.next()).value, { json: 'last', dropped: 0 });
    end.abort();
    assert.equal((await lines.next()).done, true);
  });

  it('is watched only as long as somebody reads', async () => {
    const feed = new AccessFeed();
    const end = new AbortController();
    const options = { plugin: 'c.d', failedOnly: false, signal: end.signal };
    const [left, waiting] = [feed.watch(options), feed.watch(options)];
    await Promise.all([left.next(), waiting.next()]);
    await left.return(undefined);
    const next = waiting.next();
    feed.add(line('of another plugin'));
    assert.equal(feed.isWatched, true);
    end.abort();
    assert.equal((await next).done, true);
    assert.equal(feed.isWatched, false);
  });
});
