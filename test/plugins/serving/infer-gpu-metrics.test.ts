import assert from 'node:assert/strict';
import { MetricsRegistry, type MetricsScope } from '../../../kernel/metrics.ts';
import { type AskTool, GpuMetrics } from '../../../plugins/serving/infer/gpu-metrics.ts';

/** What nvidia-smi 570 writes for these arguments on a machine with two GPUs, of which one does not tell its power. */
const TWO_GPUS = `GPU-5e0b1c9f-0d3c-6a55-9f0e-0f8d0b1c2d3e, 37, 143771, 2048, 118.42, 700.00
GPU-9a8b7c6d-1111-2222-3333-444455556666, 0, 143771, 0, [N/A], [N/A]
`;

describe('metrics of GPUs', () => {
  let metrics: MetricsRegistry;
  let scope: MetricsScope;

  beforeEach(() => {
    metrics = new MetricsRegistry();
    scope = metrics.scope('serving.infer');
  });

  async function gpuLines(): Promise<string[]> {
    return (await metrics.exposition()).split('\n').filter((line) => line.startsWith('nv_gpu_'));
  }

  it("have Triton's names and units, one series a GPU, without what a GPU does not tell", async () => {
    const asked: (readonly string[])[] = [];
    const gpus = new GpuMetrics(scope, async (args) => {
      asked.push(args);
      return TWO_GPUS;
    });
    await gpus.look();
    const [first, second] = [
      'GPU-5e0b1c9f-0d3c-6a55-9f0e-0f8d0b1c2d3e',
      'GPU-9a8b7c6d-1111-2222-3333-444455556666',
    ];
    assert.deepEqual(await gpuLines(), [
      `nv_gpu_utilization{gpu_uuid="${first}"} 0.37`,
      `nv_gpu_utilization{gpu_uuid="${second}"} 0`,
      `nv_gpu_memory_total_bytes{gpu_uuid="${first}"} ${143_771 * 1_048_576}`,
      `nv_gpu_memory_total_bytes{gpu_uuid="${second}"} ${143_771 * 1_048_576}`,
      `nv_gpu_memory_used_bytes{gpu_uuid="${first}"} ${2_048 * 1_048_576}`,
      `nv_gpu_memory_used_bytes{gpu_uuid="${second}"} 0`,
      `nv_gpu_power_usage{gpu_uuid="${first}"} 118.42`,
      `nv_gpu_power_limit{gpu_uuid="${first}"} 700`,
    ]);
    assert.deepEqual(asked, [
      [
        '--query-gpu=uuid,utilization.gpu,memory.total,memory.used,power.draw,power.limit',
        '--format=csv,noheader,nounits',
      ],
    ]);
  });

  const absent: Readonly<Record<string, AskTool>> = {
    'there is no nvidia-smi': () => Promise.reject(new Error('ENOENT')),
    'it finds no GPU': async () => 'No devices were found\n',
  };
  for (const [why, ask] of Object.entries(absent)) {
    it(`are not there when ${why}, and it is asked once`, async () => {
      let calls = 0;
      const gpus = new GpuMetrics(scope, (...args) => {
        calls += 1;
        return ask(...args);
      });
      await gpus.look();
      await gpus.look();
      assert.deepEqual(await gpuLines(), []);
      assert.doesNotMatch(await metrics.exposition(), /nv_gpu/);
      assert.equal(calls, 1);
    });
  }

  it('stay when a look fails once', async () => {
    const answers = [TWO_GPUS, undefined, TWO_GPUS.replace('37', '50')];
    const gpus = new GpuMetrics(scope, async () => {
      const answer = answers.shift();
      if (answer === undefined) throw new Error('driver busy');
      return answer;
    });
    await gpus.look();
    await gpus.look();
    assert.match((await gpuLines())[0] ?? '', / 0\.37$/);
    await gpus.look();
    assert.match((await gpuLines())[0] ?? '', / 0\.5$/);
  });
});
