import { execFile } from 'node:child_process';
import type { Gauge, Metrics } from 'lamella/sdk';

const BYTES_PER_MIB = 1_048_576;

/** Time that the tool of the driver gets, in milliseconds. */
const LIMIT_MS = 5_000;

/** Triton's gauges, in the order of what is asked for, each with what makes its unit of the tool's. */
const GAUGES = [
  { name: 'nv_gpu_utilization', ask: 'utilization.gpu', factor: 0.01, help: 'GPU utilization, 0 to 1' },
  { name: 'nv_gpu_memory_total_bytes', ask: 'memory.total', factor: BYTES_PER_MIB, help: 'GPU memory' },
  { name: 'nv_gpu_memory_used_bytes', ask: 'memory.used', factor: BYTES_PER_MIB, help: 'Used GPU memory' },
  { name: 'nv_gpu_power_usage', ask: 'power.draw', factor: 1, help: 'Power of the GPU in watts' },
  { name: 'nv_gpu_power_limit', ask: 'power.limit', factor: 1, help: 'Highest power of the GPU in watts' },
] as const;

const ARGUMENTS: readonly string[] = [
  `--query-gpu=${['uuid', ...GAUGES.map(({ ask }) => ask)].join(',')}`,
  '--format=csv,noheader,nounits',
];

/** Asks the tool of the driver; fails where there is none. */
export type AskTool = (args: readonly string[], signal: AbortSignal) => Promise<string>;

/**
 * Triton's metrics of GPUs, by `nvidia-smi`. Where it is missing or reads no GPU there are no such metrics at all, and it is
 * not asked again; a value that it does not know (`[N/A]`) is left out.
 */
export class GpuMetrics {
  readonly #metrics: Metrics;
  readonly #ask: AskTool;
  readonly #end: AbortController = new AbortController();
  #gauges: readonly Gauge[] | undefined;
  #isAbsent = false;

  constructor(metrics: Metrics, ask: AskTool = askNvidiaSmi) {
    this.#metrics = metrics;
    this.#ask = ask;
  }

  /** Reads all GPUs. */
  async look(): Promise<void> {
    if (this.#isAbsent) return;
    const text = await this.#ask(ARGUMENTS, this.#end.signal).catch(() => '');
    const rows = text.split('\n').map((line) => line.split(',').map((field) => field.trim()));
    const gpus = rows.filter(([uuid = '']) => uuid.startsWith('GPU-'));
    // A GPU that was there once may come back; its last values stay until then.
    if (gpus.length === 0) this.#isAbsent = this.#gauges === undefined;
    for (const [uuid = '', ...fields] of gpus) this.#tell(uuid, fields);
  }

  /** Ends a look that is under way. */
  close(): void {
    this.#isAbsent = true;
    this.#end.abort();
  }

  #tell(uuid: string, fields: readonly string[]): void {
    this.#gauges ??= GAUGES.map(({ name, help }) =>
      this.#metrics.gauge({ name, help, labels: ['gpu_uuid'] }),
    );
    for (const [index, gauge] of this.#gauges.entries()) {
      const text = fields[index] ?? '';
      const value = Number(text);
      if (text !== '' && Number.isFinite(value))
        gauge.set(value * (GAUGES[index]?.factor ?? 1), { gpu_uuid: uuid });
    }
  }
}

function askNvidiaSmi(args: readonly string[], signal: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile('nvidia-smi', args, { signal, timeout: LIMIT_MS, windowsHide: true }, (error, stdout) => {
      if (error === null) resolve(stdout);
      else reject(error);
    });
  });
}
