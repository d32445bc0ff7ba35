import assert from 'node:assert/strict';
import { MetricsRegistry } from '../../../kernel/metrics.ts';
import { createHttpCounter } from '../../../kernel/server/http-metrics.ts';
import { HttpProbe } from '../../support/http-probe.ts';

describe('http metrics', () => {
  it('count requests by plugin and status, with those that nobody answered for the kernel', async () => {
    const metrics = new MetricsRegistry();
    const probe = new HttpProbe();
    await probe.start(() => new Response('four'), { observe: createHttpCounter(metrics.kernel) });
    try {
      await probe.send('/t');
      await probe.send('/t');
      await probe.send('/none');
    } finally {
      await probe.close();
    }
    const text = await metrics.exposition();
    const counts = text
      .split('\n')
      .filter((line) => line.startsWith('lamella_http_request_duration_seconds_count'));
    assert.deepEqual(counts, [
      'lamella_http_request_duration_seconds_count{plugin="test.plugin",method="GET",status="200"} 2',
      'lamella_http_request_duration_seconds_count{plugin="kernel",method="GET",status="404"} 1',
    ]);
    assert.match(text, /^lamella_http_response_bytes_total\{plugin="test.plugin"\} 8$/m);
  });
});
