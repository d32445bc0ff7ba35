import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { IsolationLevel } from '../../proto/gen/lamella/kernel/v1/manifest_pb.ts';
import {
  type Instance as WireInstance,
  InstanceSchema,
  type PluginSchema,
  PluginState as WireState,
} from '../../proto/gen/lamella/kernel/v1/plugin_service_pb.ts';
import type { Generation } from '../loader/generation.ts';
import type { Instance, IsolationName } from '../loader/instance.ts';
import type { PluginRecord } from '../loader/record.ts';
import type { PluginState } from '../registry/state.ts';

/** A plugin as PluginService shows it. */
export function pluginToProto(record: PluginRecord): MessageInitShape<typeof PluginSchema> {
  const { id, manifest, slot, active, canary, leaving } = record;
  const running = [active, canary, ...leaving].filter((generation) => generation !== undefined);
  return {
    id,
    version: manifest.version,
    isolation: manifest.isolation?.preferred ?? IsolationLevel.ISOLATION_LEVEL_UNSPECIFIED,
    ...(active === undefined ? {} : codeToProto(active.instance)),
    state: stateToProto(record.state),
    reason: record.reason,
    provides: manifest.provides,
    sourceDirectory: record.directory,
    restarts: record.restarts,
    updateTime: timestampFromMs(record.updatedMs),
    inFlight: running.reduce((sum, { instance }) => sum + instance.load.inFlight, 0),
    parked: slot.parkedCount,
    instances: running
      .toSorted((a, b) => b.number - a.number)
      .map((generation) => instanceToProto(record, generation)),
  };
}

/** What runs says more than what was announced: the operator may have chosen another level. */
function codeToProto(instance: Instance): MessageInitShape<typeof PluginSchema> {
  return {
    version: instance.version,
    isolation: IsolationLevel[instance.isolation],
    pid: instance.pid ?? 0,
    digest: instance.digest,
  };
}

function instanceToProto(record: PluginRecord, generation: Generation): WireInstance {
  const { number, instance, retirement, startedMs } = generation;
  return create(InstanceSchema, {
    number: BigInt(number),
    version: instance.version,
    state: stateToProto(retirement?.state ?? 'ACTIVE'),
    isolation: IsolationLevel[instance.isolation],
    pid: instance.pid ?? 0,
    inFlight: instance.load.inFlight,
    weight: weightOf(record, generation),
    startTime: timestampFromMs(startedMs),
  });
}

function weightOf({ active, canary, slot }: PluginRecord, generation: Generation): number {
  const percent = slot.canary?.percent ?? 0;
  if (generation === canary) return percent;
  return generation === active ? 100 - percent : 0;
}

/** A level by its name; `undefined` when none is given. The starter refuses levels that are none. */
export function levelName(level: IsolationLevel): IsolationName | undefined {
  if (level === IsolationLevel.ISOLATION_LEVEL_UNSPECIFIED) return undefined;
  const name = Object.entries(IsolationLevel).find(([, value]) => value === level)?.[0] ?? String(level);
  return name as IsolationName;
}

/** A state on the wire. */
export function stateToProto(state: PluginState): WireState {
  return WIRE_STATES[state];
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
