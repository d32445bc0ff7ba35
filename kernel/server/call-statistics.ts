import { readFile } from 'node:fs/promises';
import type { MessageInitShape } from '@bufbuild/protobuf';
import {
  type GetCallStatisticsResponseSchema,
  type PluginUsageSchema,
  PluginState,
} from '../../proto/gen/lamella/kernel/v1/plugin_service_pb.ts';
import { KERNEL_ID } from '../builtin.ts';
import type { CallMetrics } from '../call-metrics.ts';
import type { PluginRecord } from '../loader/record.ts';
import { KERNEL_VERSION } from '../version.ts';
import { pluginToProto } from './plugin-message.ts';

/** What the kernel and its plugins have done and use. */
export async function callStatistics(
  calls: CallMetrics,
  records: readonly PluginRecord[],
): Promise<MessageInitShape<typeof GetCallStatisticsResponseSchema>> {
  const kernel = {
    plugin: { id: KERNEL_ID, version: KERNEL_VERSION, state: PluginState.ACTIVE },
    memoryBytes: BigInt(process.memoryUsage.rss()),
  };
  const { boundsSeconds, methods } = calls.statistics();
  const plugins = await Promise.all(records.map((record) => usageOf(record)));
  return {
    boundsSeconds: [...boundsSeconds],
    methods: methods.map((method) => ({
      pluginId: method.plugin,
      method: method.path,
      calls: BigInt(method.calls),
      errors: BigInt(method.errors),
      bucketCounts: method.buckets.map(BigInt),
    })),
    plugins: [kernel, ...plugins],
  };
}

async function usageOf(record: PluginRecord): Promise<MessageInitShape<typeof PluginUsageSchema>> {
  const { active, canary, leaving } = record;
  const running = [active, canary, ...leaving].filter((generation) => generation !== undefined);
  const memory = await Promise.all(running.map(({ instance }) => residentBytes(instance.pid)));
  return {
    plugin: pluginToProto(record),
    memoryBytes: BigInt(memory.reduce((sum, bytes) => sum + bytes, 0)),
    queued: running.reduce((sum, { instance }) => sum + instance.load.waiting, 0),
  };
}

/** Memory of a process in RAM; 0 without a process, or where the system does not tell (Linux does). */
async function residentBytes(pid: number | undefined): Promise<number> {
  if (pid === undefined) return 0;
  const text = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  return Number(/^VmRSS:\s+(\d+)/m.exec(text)?.[1] ?? 0) * 1024;
}
