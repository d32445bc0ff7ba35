import { performance } from 'node:perf_hooks';
import process from 'node:process';
import type { Metrics } from '../sdk/index.ts';

/**
 * Publishes what the process uses, under the names Prometheus' own clients give them.
 *
 * @returns a function to call before each exposition. prom-client's default metrics are not used: they install
 * observers that live as long as the process, one set a kernel.
 */
export function createProcessMetrics(metrics: Metrics): () => void {
  const cpu = metrics.counter({
    name: 'process_cpu_seconds_total',
    help: 'CPU time used, user and system, in seconds.',
  });
  const resident = metrics.gauge({ name: 'process_resident_memory_bytes', help: 'Memory held in RAM.' });
  const heap = metrics.gauge({ name: 'nodejs_heap_size_used_bytes', help: 'JavaScript heap in use.' });
  const external = metrics.gauge({
    name: 'nodejs_external_memory_bytes',
    help: 'Memory of buffers and C++ objects.',
  });
  const utilization = metrics.gauge({
    name: 'nodejs_eventloop_utilization_ratio',
    help: 'Share of time the event loop was busy since the last exposition, 0 to 1.',
  });
  metrics
    .gauge({ name: 'process_start_time_seconds', help: 'Start of the process, seconds since the epoch.' })
    .set(performance.timeOrigin / 1000);
  let cpuSeconds = 0;
  let loop = performance.eventLoopUtilization();
  return () => {
    const { user, system } = process.cpuUsage();
    const total = (user + system) / 1e6;
    cpu.add(total - cpuSeconds);
    cpuSeconds = total;
    const memory = process.memoryUsage();
    resident.set(memory.rss);
    heap.set(memory.heapUsed);
    external.set(memory.external);
    const now = performance.eventLoopUtilization();
    utilization.set(performance.eventLoopUtilization(now, loop).utilization);
    loop = now;
  };
}
