import os from 'node:os';
import { readFile } from 'node:fs/promises';
import type { Metrics } from 'lamella/sdk';
import { GpuMetrics } from './gpu-metrics.ts';

/** Time between two looks, in milliseconds: Triton's. */
const INTERVAL_MS = 2_000;

interface CpuTimes {
  readonly busyMs: number;
  readonly allMs: number;
}

/** Triton's metrics of the machine, under Triton's names: processors, memory, and GPUs where they can be read. */
export class MachineMetrics {
  readonly #utilization: { set(value: number): void };
  readonly #total: { set(value: number): void };
  readonly #used: { set(value: number): void };
  readonly #gpus: GpuMetrics;
  readonly #timer: NodeJS.Timeout;
  #before: CpuTimes = cpuTimes();
  #looking: Promise<void>;

  constructor(metrics: Metrics) {
    const gauge = (name: string, help: string): { set(value: number): void } => metrics.gauge({ name, help });
    this.#utilization = gauge(
      'nv_cpu_utilization',
      'Share of the time in which processors were busy, 0 to 1',
    );
    this.#total = gauge('nv_cpu_memory_total_bytes', 'Memory of the machine in bytes');
    this.#used = gauge('nv_cpu_memory_used_bytes', 'Memory of the machine that is not available, in bytes');
    this.#gpus = new GpuMetrics(metrics);
    this.#looking = this.#look();
    this.#timer = setInterval(() => {
      this.#looking = this.#look();
    }, INTERVAL_MS).unref();
  }

  /** Ends the looks. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.#gpus.close();
    await this.#looking;
  }

  async #look(): Promise<void> {
    const now = cpuTimes();
    const allMs = now.allMs - this.#before.allMs;
    if (allMs > 0) this.#utilization.set((now.busyMs - this.#before.busyMs) / allMs);
    this.#before = now;
    const total = os.totalmem();
    this.#total.set(total);
    this.#used.set(total - (await availableBytes()));
    await this.#gpus.look();
  }
}

function cpuTimes(): CpuTimes {
  let busyMs = 0;
  let allMs = 0;
  for (const { times } of os.cpus()) {
    const used = times.user + times.nice + times.sys + times.irq;
    busyMs += used;
    allMs += used + times.idle;
  }
  return { busyMs, allMs };
}

/** Linux counts its caches as used; what can be had is told apart. */
async function availableBytes(): Promise<number> {
  const text = await readFile('/proc/meminfo', 'utf8').catch(() => '');
  const [, kib] = /^MemAvailable:\s+([0-9]+) kB$/m.exec(text) ?? [];
  return kib === undefined ? os.freemem() : Number(kib) * 1_024;
}
