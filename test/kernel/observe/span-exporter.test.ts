import assert from 'node:assert/strict';
import { createLogger } from '../../../kernel/logger.ts';
import { MetricsRegistry } from '../../../kernel/metrics.ts';
import { watched } from '../../../kernel/observe/span-exporter.ts';

describe('a trace collector that is down', () => {
  it('is told once, and once when it is back; what was lost is counted', async () => {
    const logged: string[] = [];
    const metrics = new MetricsRegistry();
    let isDown = true;
    const exporter = watched(
      {
        export: (_spans, done) => done(isDown ? { code: 1, error: new Error('ECONNREFUSED') } : { code: 0 }),
        shutdown: () => Promise.resolve(),
      },
      {
        log: createLogger({ format: 'json', write: (line) => logged.push(line) }),
        metrics: metrics.kernel,
      },
    );
    const codes: number[] = [];
    const send = (): void => exporter.export([], ({ code }) => codes.push(code));
    send();
    send();
    isDown = false;
    send();
    assert.deepEqual(codes, [0, 0, 0]);
    assert.equal(logged.length, 2);
    assert.match(logged[0] ?? '', /ECONNREFUSED.*takes no spans/);
    assert.match(await metrics.exposition(), /lamella_trace_spans_total\{outcome="failed"\} 0/);
  });
});
