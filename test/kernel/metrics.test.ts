import assert from 'node:assert/strict';
import { MetricsRegistry, type MetricsScope } from '../../kernel/metrics.ts';

/** Lines of one metric, without comments. */
async function samples(metrics: MetricsRegistry, name: string): Promise<string[]> {
  return (await metrics.exposition()).split('\n').filter((line) => line.startsWith(name));
}

const calls = { name: 'test_calls_total', help: 'Calls.', labels: ['method'] };

describe('metrics', () => {
  it('exposes counters, gauges and histograms in Prometheus text format', async () => {
    const metrics = new MetricsRegistry();
    const scope = metrics.scope('data.store');
    scope.counter(calls).add(2, { method: 'Get' });
    scope.counter({ name: 'test_plain_total', help: 'Plain.' }).add();
    scope.gauge({ name: 'test_size', help: 'Size.' }).set(-1.5);
    scope.histogram({ name: 'test_seconds', help: 'Time.', buckets: [0.1, 1] }).observe(0.5);
    const text = (await scope.exposition()).split('\n').filter((line) => line.includes('test_'));
    assert.deepEqual(text, [
      '# HELP test_calls_total Calls.',
      '# TYPE test_calls_total counter',
      'test_calls_total{method="Get"} 2',
      '# HELP test_plain_total Plain.',
      '# TYPE test_plain_total counter',
      'test_plain_total 1',
      '# HELP test_size Size.',
      '# TYPE test_size gauge',
      'test_size -1.5',
      '# HELP test_seconds Time.',
      '# TYPE test_seconds histogram',
      'test_seconds_bucket{le="0.1"} 0',
      'test_seconds_bucket{le="1"} 1',
      'test_seconds_bucket{le="+Inf"} 1',
      'test_seconds_sum 0.5',
      'test_seconds_count 1',
    ]);
    assert.match(metrics.contentType, /^text\/plain; version=0\.0\.4/);
  });

  it('goes on counting over an upgrade and removes a metric with its last instance', async () => {
    const metrics = new MetricsRegistry();
    const [old, fresh] = [metrics.scope('data.store'), metrics.scope('data.store')];
    old.counter(calls).add(1, { method: 'a' });
    fresh.counter(calls).add(2, { method: 'a' });
    old.close();
    assert.deepEqual(await samples(metrics, 'test_calls'), ['test_calls_total{method="a"} 3']);
    fresh.close();
    assert.deepEqual(await samples(metrics, 'test_calls'), []);
  });

  it('lets a new version declare a metric differently', async () => {
    const metrics = new MetricsRegistry();
    const [old, fresh] = [metrics.scope('data.store'), metrics.scope('data.store')];
    const oldCounter = old.counter(calls);
    fresh.counter({ ...calls, labels: ['path'] }).add(1, { path: '/' });
    oldCounter.add(9, { method: 'a' });
    old.close();
    assert.deepEqual(await samples(metrics, 'test_calls'), ['test_calls_total{path="/"} 1']);
  });

  it('refuses a name that another plugin owns or that was declared differently', () => {
    const metrics = new MetricsRegistry();
    const scope = metrics.scope('data.store');
    scope.counter(calls);
    const conflict = {
      reason: 'METRIC_CONFLICT',
      metadata: { metric: 'test_calls_total', owner: 'data.store' },
    };
    assert.throws(() => metrics.scope('data.clean').counter(calls), conflict);
    assert.throws(() => scope.gauge(calls), conflict);
  });

  const refused: Readonly<Record<string, (scope: MetricsScope) => unknown>> = {
    'a name with a space': (scope) => scope.counter({ name: 'a b', help: 'x' }),
    'an endless name': (scope) => scope.counter({ name: 'a'.repeat(201), help: 'x' }),
    'no help text': (scope) => scope.counter({ name: 'a', help: '' }),
    'a reserved label': (scope) => scope.counter({ name: 'a', help: 'x', labels: ['__x'] }),
    'the label of buckets': (scope) =>
      scope.histogram({ name: 'a', help: 'x', labels: ['le'], buckets: [1] }),
    'no buckets': (scope) => scope.histogram({ name: 'a', help: 'x', buckets: [] }),
    'buckets out of order': (scope) => scope.histogram({ name: 'a', help: 'x', buckets: [2, 1] }),
  };
  for (const [what, declare] of Object.entries(refused)) {
    it(`refuses ${what}`, () => {
      assert.throws(() => declare(new MetricsRegistry().scope('x.y')), { reason: 'METRIC_INVALID' });
    });
  }

  it('drops and counts samples that are wrong instead of failing the call', async () => {
    const metrics = new MetricsRegistry();
    const scope = metrics.scope('x.y');
    const counter = scope.counter(calls);
    counter.add(-1);
    counter.add(Number.NaN);
    counter.add(1, { user: 'x' });
    scope.gauge({ name: 'test_size', help: 'x' }).set(Number.POSITIVE_INFINITY);
    scope.histogram({ name: 'test_seconds', help: 'x', buckets: [1] }).observe(Number.NaN);
    assert.deepEqual(await samples(metrics, 'lamella_metric_samples_dropped_total'), [
      'lamella_metric_samples_dropped_total{metric="test_calls_total",reason="value"} 2',
      'lamella_metric_samples_dropped_total{metric="test_calls_total",reason="label"} 1',
      'lamella_metric_samples_dropped_total{metric="test_size",reason="value"} 1',
      'lamella_metric_samples_dropped_total{metric="test_seconds",reason="value"} 1',
    ]);
  });

  it('bounds the label combinations and the length of label values', async () => {
    const metrics = new MetricsRegistry({ maxSeries: 2 });
    const counter = metrics.scope('x.y').counter(calls);
    for (const method of ['a', 'b"\n\\', 'c', 'a', 'x'.repeat(300)]) counter.add(1, { method });
    assert.deepEqual(await samples(metrics, 'test_calls'), [
      'test_calls_total{method="a"} 2',
      'test_calls_total{method="b\\"\\n\\\\"} 1',
    ]);
    const long = new MetricsRegistry();
    long
      .scope('x.y')
      .counter(calls)
      .add(1, { method: 'x'.repeat(300) });
    assert.deepEqual(await samples(long, 'test_calls'), [`test_calls_total{method="${'x'.repeat(256)}"} 1`]);
  });

  it('records in a series that was looked up once', async () => {
    const metrics = new MetricsRegistry({ maxSeries: 1 });
    const scope = metrics.scope('x.y');
    const counter = scope.counter(calls);
    const series = counter.series({ method: 'a' });
    series.add();
    counter.add(2, { method: 'a' });
    series.add(-1);
    counter.series({ method: 'b' }).add();
    counter.series({ user: 'c' }).add();
    const seconds = scope.histogram({ name: 'test_seconds', help: 'x', labels: ['of'], buckets: [1] });
    const times = seconds.series({ of: 'a' });
    for (const time of [0.5, 1, 2]) times.observe(time);
    assert.deepEqual(await samples(metrics, 'test_'), [
      'test_calls_total{method="a"} 3',
      'test_seconds_bucket{le="1",of="a"} 2',
      'test_seconds_bucket{le="+Inf",of="a"} 3',
      'test_seconds_sum{of="a"} 3.5',
      'test_seconds_count{of="a"} 3',
    ]);
    assert.deepEqual(await samples(metrics, 'lamella_metric_samples_dropped_total'), [
      'lamella_metric_samples_dropped_total{metric="test_calls_total",reason="value"} 1',
      'lamella_metric_samples_dropped_total{metric="test_calls_total",reason="series"} 1',
      'lamella_metric_samples_dropped_total{metric="test_calls_total",reason="label"} 1',
    ]);
  });

  it('tells what the process uses', async () => {
    const metrics = new MetricsRegistry();
    await metrics.exposition();
    const text = await metrics.exposition();
    for (const name of [
      'process_cpu_seconds_total',
      'process_resident_memory_bytes',
      'process_start_time_seconds',
    ]) {
      const value = Number(new RegExp(`^${name} (.*)$`, 'm').exec(text)?.[1]);
      assert.ok(value > 0, name);
    }
  });
});
