import assert from 'node:assert/strict';
import { createLogger } from '../../../kernel/logger.ts';
import { MetricsRegistry } from '../../../kernel/metrics.ts';
import { createMetricsListener } from '../../../kernel/server/metrics-listener.ts';

describe('metrics listener', () => {
  it('answers GET /metrics with the exposition, and nothing else', async () => {
    const metrics = new MetricsRegistry();
    metrics.scope('x.y').counter({ name: 'test_total', help: 'Test.' }).add(3);
    const log = createLogger({ write: () => undefined });
    const listener = createMetricsListener({ host: '127.0.0.1', port: 0, log, metrics });
    const { port } = await listener.listen();
    try {
      const url = `http://127.0.0.1:${port}/metrics`;
      const answer = await fetch(url);
      assert.match(answer.headers.get('content-type') ?? '', /^text\/plain; version=0\.0\.4/);
      assert.match(await answer.text(), /^test_total 3$/m);
      assert.equal((await fetch(url, { method: 'DELETE' })).status, 501);
      assert.equal((await fetch(url, { method: 'POST', body: 'x' })).status, 413);
      assert.equal((await fetch(`http://127.0.0.1:${port}/`)).status, 404);
    } finally {
      await listener.close();
    }
  });
});
