import assert from 'node:assert/strict';
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import {
  type MetricFamily,
  MetricFamilySchema,
  MetricKind,
} from '../../proto/gen/lamella/kernel/v1/host_service_pb.ts';
import { ReportedMetrics } from '../../kernel/reported-metrics.ts';
import { EchoService } from '../../examples/echo/gen/echo/v1/echo_service_pb.ts';
import { startTestKernel, type TestKernel } from '../../sdk/testing/index.ts';
import { copyEcho, type EchoPlugin } from '../support/echo-plugin.ts';

const family = (init: MessageInitShape<typeof MetricFamilySchema>): MetricFamily =>
  create(MetricFamilySchema, { help: 'A metric.', kind: MetricKind.COUNTER, ...init });

const counter = (value: number): MetricFamily => family({ name: 'x_total', samples: [{ value }] });

async function lines(reported: ReportedMetrics): Promise<string[]> {
  return (await reported.text()).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
}

describe('metrics that plugin processes report', () => {
  it('are added up over the instances of a plugin, with gauges of the newest', async () => {
    const reported = new ReportedMetrics(() => false);
    const [old, fresh] = [{}, {}];
    const sizes = (bucketCounts: bigint[]): MetricFamily =>
      family({
        name: 'x_sizes',
        kind: MetricKind.HISTOGRAM,
        bucketBounds: [1, 2],
        samples: [{ value: 5, bucketCounts }],
      });
    const level = (value: number): MetricFamily =>
      family({ name: 'x_level', kind: MetricKind.GAUGE, samples: [{ labels: { of: 'a' }, value }] });
    reported.report(old, 'a.b', [counter(2), level(1), sizes([1n, 0n, 2n])]);
    reported.report(fresh, 'a.b', [counter(3), level(7), sizes([0n, 1n, 0n])]);
    reported.report(old, 'a.b', [counter(4), level(2), sizes([1n, 0n, 2n])]);
    assert.deepEqual(await lines(reported), [
      'x_total 7',
      'x_level{of="a"} 7',
      'x_sizes_bucket{le="1"} 1',
      'x_sizes_bucket{le="2"} 2',
      'x_sizes_bucket{le="+Inf"} 4',
      'x_sizes_sum 10',
      'x_sizes_count 4',
    ]);
    reported.remove(old);
    reported.remove(fresh);
    assert.equal(await reported.text(), '');
  });

  it('do not take the name of another plugin or of the kernel', async () => {
    const reported = new ReportedMetrics((name) => name === 'kernel_total');
    reported.report({}, 'a.b', [counter(1)]);
    const other = {};
    assert.throws(
      () =>
        reported.report(other, 'c.d', [counter(9), family({ name: 'own_total', samples: [{ value: 1 }] })]),
      { reason: 'METRIC_CONFLICT', metadata: { metric: 'x_total', owner: 'a.b' } },
    );
    assert.throws(() => reported.report(other, 'c.d', [family({ name: 'kernel_total' })]), {
      reason: 'METRIC_CONFLICT',
    });
    reported.report(other, 'c.d', [family({ name: 'own_total', samples: [{ value: 1 }] })]);
    assert.deepEqual((await lines(reported)).sort(), ['own_total 1', 'x_total 1']);
  });

  const refused: Readonly<Record<string, MetricFamily[]>> = {
    'a name that is none': [family({ name: 'a b\n# c' })],
    'a label that is none': [family({ name: 'a', samples: [{ labels: { 'x"': '' } }] })],
    'no kind': [family({ name: 'a', kind: MetricKind.UNSPECIFIED })],
    'a value that is no number': [family({ name: 'a', samples: [{ value: Number.NaN }] })],
    'the same sample twice': [family({ name: 'a', samples: [{}, {}] })],
    'the same metric twice': [family({ name: 'a' }), family({ name: 'a' })],
    'counts that do not fit the bounds': [
      family({
        name: 'a',
        kind: MetricKind.HISTOGRAM,
        bucketBounds: [1, 2],
        samples: [{ bucketCounts: [1n] }],
      }),
    ],
    "the kernel's own counters": [family({ name: 'lamella_rpc_total' })],
    'too many metrics': Array.from({ length: 1_001 }, (_, index) => family({ name: `a${index}` })),
    'too many label values': [
      family({
        name: 'a',
        samples: Array.from({ length: 10_001 }, (_, index) => ({ labels: { n: String(index) } })),
      }),
    ],
  };
  for (const [what, families] of Object.entries(refused)) {
    it(`are refused with ${what}, and the report before stays`, async () => {
      const reported = new ReportedMetrics(() => false);
      const instance = {};
      reported.report(instance, 'a.b', [counter(1)]);
      assert.throws(() => reported.report(instance, 'a.b', families), { reason: 'METRIC_INVALID' });
      assert.deepEqual(await lines(reported), ['x_total 1']);
    });
  }

  it('cannot break the text with label values', async () => {
    const reported = new ReportedMetrics(() => false);
    const value = `"} 1\nother_total 9\\${'x'.repeat(300)}`;
    reported.report({}, 'a.b', [family({ name: 'a', samples: [{ labels: { of: value }, value: 1 }] })]);
    const [line = '', ...more] = await lines(reported);
    assert.deepEqual(more, []);
    assert.match(line, /^a\{of="\\"\} 1\\nother_total 9\\\\x+"\} 1$/);
    assert.ok(line.length < 300);
  });
});

describe('a plugin process with metrics', function () {
  this.timeout(30_000);
  let kernel: TestKernel;
  let plugin: EchoPlugin;

  before(async () => {
    plugin = await copyEcho();
    await plugin.useContractPlugin();
    const config = { plugins: { 'example.echo': { isolation: 'PROCESS' } } };
    kernel = await startTestKernel({ plugins: [plugin.directory], config });
  });
  after(async () => {
    await kernel.stop();
    await plugin.remove();
  });

  const metrics = async (): Promise<string> =>
    (await fetch(`http://${kernel.addresses.metrics}/metrics`)).text();

  it('has them on the metrics port until it stops', async () => {
    await kernel.call(EchoService).say({ payload: Buffer.from('measure') });
    let text = '';
    for (const endMs = Date.now() + 10_000; Date.now() < endMs && !text.includes('contract_counter');) {
      text = await metrics();
    }
    assert.match(text, /^# TYPE contract_counter counter$/m);
    assert.match(text, /^contract_counter\{kind="x"\} 3$/m);
    assert.match(text, /^contract_gauge 7$/m);
    assert.match(text, /^contract_histogram_bucket\{le="1"\} 0$/m);
    assert.match(text, /^contract_histogram_bucket\{le="10"\} 1$/m);
    assert.match(text, /^contract_histogram_sum 5$/m);
    await kernel.unload('example.echo');
    assert.doesNotMatch(await metrics(), /contract_/);
  });
});
