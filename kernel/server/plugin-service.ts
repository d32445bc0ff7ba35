import type { DescService, JsonObject, MessageInitShape } from '@bufbuild/protobuf';
import { IsolationLevel } from '../../proto/gen/lamella/kernel/v1/manifest_pb.ts';
import {
  type LoadPluginRequest,
  type LoadPluginResponseSchema,
  type PluginService,
  PluginState,
} from '../../proto/gen/lamella/kernel/v1/plugin_service_pb.ts';
import { pageOf, type ServiceImplementation } from '../../sdk/index.ts';
import { RequestFieldUnsupported } from '../errors.ts';
import type { CallMetrics } from '../call-metrics.ts';
import type { CapabilityGuard } from '../capabilities/guard.ts';
import { capabilitiesToProto } from '../capabilities/report.ts';
import type { PluginHistory } from '../loader/history.ts';
import type { Lifecycle } from '../loader/lifecycle.ts';
import type { Loader } from '../loader/loader.ts';
import type { LogBook } from '../log-book.ts';
import type { CallObservers } from '../observe/call-observers.ts';
import type { PluginRecord } from '../loader/record.ts';
import { callStatistics } from './call-statistics.ts';
import { createLogMethods } from './log-methods.ts';
import { createChangeMethods } from './plugin-changes.ts';
import { serviceConfigOf, ServiceUnknown } from './service-config.ts';
import { levelName, pluginToProto } from './plugin-message.ts';

/** What PluginService works on. */
export interface PluginServiceParts {
  readonly loader: Loader;
  readonly lifecycle: Lifecycle;
  readonly history: PluginHistory;
  readonly logs: LogBook;
  readonly observers: Pick<CallObservers, 'feed'>;
  readonly calls: CallMetrics;
  readonly guard: CapabilityGuard;
  /** Remembers a folder, so that the next start loads it too. */
  readonly remember: (record: PluginRecord) => Promise<void>;
  readonly forget: (id: string) => Promise<void>;
  /** Every service with its methods, by full name. */
  readonly descriptors: ReadonlyMap<string, DescService>;
  /** Resolves when a restart would find all that has changed so far. */
  readonly saved: () => Promise<void>;
}

/** PluginService: list, load, reload, unload and watch plugins. */
export function createPluginService(parts: PluginServiceParts): ServiceImplementation<typeof PluginService> {
  const { loader } = parts;
  return {
    // What somebody has seen is still so after a kill.
    listPlugins: async (request) => {
      await parts.saved();
      const { items, nextPageToken } = pageOf(loader.records, ({ id }) => id, request);
      return { plugins: items.map(pluginToProto), nextPageToken };
    },
    getPlugin: async ({ id }) => {
      await parts.saved();
      const record = loader.record(id);
      return { plugin: pluginToProto(record), manifest: record.manifest };
    },
    loadPlugin: (request) => load(parts, request),
    reloadPlugin: async ({ id, canaryPercent, config }) => {
      refuseConfig(config);
      const record = await loader.reload(id, { canaryPercent });
      await parts.saved();
      return { plugin: pluginToProto(record) };
    },
    rollbackPlugin: async ({ id }) => {
      const { directory } = loader.record(id);
      return settled(parts, loader.rollBack(id), directory);
    },
    promotePlugin: async ({ id }) => {
      const { directory } = loader.record(id);
      return settled(parts, loader.promote(id), directory);
    },
    unloadPlugin: async ({ id, force }) => {
      await loader.unload(id, force);
      await parts.forget(id);
      await parts.saved();
      parts.logs.forget(id);
      return {};
    },
    ...createChangeMethods(parts),
    ...createLogMethods(parts.logs, parts.observers.feed, (id) => void loader.record(id)),
    getCallStatistics: () => callStatistics(parts.calls, loader.records),
    getServiceConfig: ({ service }) => ({ config: serviceConfigOf(servicesOf(parts, service)) }),
    getCapabilities: ({ id }) => capabilitiesToProto(parts.guard, loader.record(id)),
  };
}

/** @throws SERVICE_UNKNOWN */
function servicesOf({ descriptors }: PluginServiceParts, name: string): Iterable<DescService> {
  if (name === '') return descriptors.values();
  const found = descriptors.get(name);
  if (found === undefined) throw new ServiceUnknown({ service: name.slice(0, 200) });
  return [found];
}

/** The next start loads what serves now, also when that lies in another folder than what served before. */
async function settled(
  { remember, saved }: PluginServiceParts,
  record: PluginRecord,
  before: string,
): Promise<{ plugin: ReturnType<typeof pluginToProto> }> {
  if (record.directory !== before) await remember(record);
  await saved();
  return { plugin: pluginToProto(record) };
}

function refuseConfig(config: JsonObject | undefined): void {
  if (config === undefined) return;
  throw new RequestFieldUnsupported({ field: 'config', instead: 'set plugins.<id>.config in config.json' });
}

async function load(
  { loader, remember, saved }: PluginServiceParts,
  { directory, canaryPercent, isolation, config, validateOnly }: LoadPluginRequest,
): Promise<MessageInitShape<typeof LoadPluginResponseSchema>> {
  refuseConfig(config);
  const options = { canaryPercent, isolation: levelName(isolation) };
  if (validateOnly) {
    const { manifest, level, steps } = await loader.check(directory, options);
    const { id, version, provides } = manifest;
    const state = PluginState.RESOLVED;
    const plugin = { id, version, provides, state, sourceDirectory: directory };
    return { plugin: { ...plugin, isolation: IsolationLevel[level] }, steps: [...steps] };
  }
  const record = await loader.load(directory, options);
  await remember(record);
  await saved();
  return { plugin: pluginToProto(record) };
}
