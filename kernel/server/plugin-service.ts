import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { IsolationLevel } from '../../proto/gen/lamella/kernel/v1/manifest_pb.ts';
import {
  type PluginSchema,
  type PluginService,
  PluginState as WireState,
} from '../../proto/gen/lamella/kernel/v1/plugin_service_pb.ts';
import { pageOf, type ServiceImplementation } from '../../sdk/index.ts';
import { KernelMethodMissing } from '../errors.ts';
import type { Instance } from '../loader/instance.ts';
import type { Lifecycle } from '../loader/lifecycle.ts';
import type { Loader } from '../loader/loader.ts';
import type { PluginRecord } from '../loader/record.ts';
import type { PluginState } from '../registry/state.ts';

/** What PluginService works on. */
export interface PluginServiceParts {
  readonly loader: Loader;
  readonly lifecycle: Lifecycle;
  /** Remembers a folder, so that the next start loads it too. */
  readonly remember: (record: PluginRecord) => Promise<void>;
  readonly forget: (id: string) => Promise<void>;
}

/** PluginService: list, load, reload, unload and watch plugins. */
export function createPluginService(parts: PluginServiceParts): ServiceImplementation<typeof PluginService> {
  const { loader, lifecycle } = parts;
  return {
    listPlugins: (request) => {
      const { items, nextPageToken } = pageOf(loader.records, ({ id }) => id, request);
      return { plugins: items.map(pluginToProto), nextPageToken };
    },
    getPlugin: ({ id }) => {
      const record = loader.record(id);
      return { plugin: pluginToProto(record), manifest: record.manifest };
    },
    loadPlugin: async ({ directory }) => {
      const record = await loader.load(directory);
      await parts.remember(record);
      return { plugin: pluginToProto(record) };
    },
    reloadPlugin: async ({ id }) => ({ plugin: pluginToProto(await loader.reload(id)) }),
    unloadPlugin: async ({ id }) => {
      await loader.unload(id);
      await parts.forget(id);
      return {};
    },
    async *watchPlugins({ ids }, { signal }) {
      for await (const { record, previous } of lifecycle.watch(signal)) {
        if (ids.length > 0 && !ids.includes(record.id)) continue;
        yield { plugin: pluginToProto(record), previousState: WIRE_STATES[previous] };
      }
    },
    rollbackPlugin: () => {
      throw new KernelMethodMissing({ method: 'RollbackPlugin' });
    },
    tailLogs: () => {
      throw new KernelMethodMissing({ method: 'TailLogs' });
    },
  };
}

function pluginToProto(record: PluginRecord): MessageInitShape<typeof PluginSchema> {
  const { id, manifest, slot } = record;
  return {
    id,
    version: manifest.version,
    isolation: manifest.isolation?.preferred ?? IsolationLevel.ISOLATION_LEVEL_UNSPECIFIED,
    ...(slot.instance === undefined ? {} : instanceToProto(slot.instance)),
    state: WIRE_STATES[record.state],
    reason: record.reason,
    provides: manifest.provides,
    sourceDirectory: record.directory,
    restarts: record.restarts,
    updateTime: timestampFromMs(record.updatedMs),
    parked: slot.parkedCount,
  };
}

/** What runs says more than what was announced: the operator may have chosen another level. */
function instanceToProto(instance: Instance): MessageInitShape<typeof PluginSchema> {
  return {
    version: instance.version,
    isolation: IsolationLevel[instance.isolation],
    pid: instance.pid ?? 0,
    inFlight: instance.load.inFlight,
    digest: instance.digest,
  };
}

const WIRE_STATES: Readonly<Record<PluginState, WireState>> = {
  DISCOVERED: WireState.DISCOVERED,
  VERIFIED: WireState.VERIFIED,
  RESOLVED: WireState.RESOLVED,
  STARTING: WireState.STARTING,
  STANDBY: WireState.STANDBY,
  ACTIVE: WireState.ACTIVE,
  DRAINING: WireState.DRAINING,
  STOPPED: WireState.STOPPED,
  REMOVED: WireState.REMOVED,
  FAILED: WireState.FAILED,
  DEGRADED: WireState.DEGRADED,
  BACKOFF: WireState.BACKOFF,
  QUARANTINED: WireState.QUARANTINED,
};
