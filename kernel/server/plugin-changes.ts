import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import type {
  PluginService,
  WatchPluginsResponseSchema,
} from '../../proto/gen/lamella/kernel/v1/plugin_service_pb.ts';
import type { ServiceImplementation } from '../../sdk/index.ts';
import type { PluginHistory } from '../loader/history.ts';
import type { Lifecycle } from '../loader/lifecycle.ts';
import type { Loader } from '../loader/loader.ts';
import { pluginToProto, stateToProto } from './plugin-message.ts';

/** What tells how plugins change. */
interface ChangeParts {
  readonly loader: Loader;
  readonly lifecycle: Lifecycle;
  readonly history: PluginHistory;
}

type Told = MessageInitShape<typeof WatchPluginsResponseSchema>;

/** The methods of PluginService that tell how plugins change and have changed. */
export function createChangeMethods({
  loader,
  lifecycle,
  history,
}: ChangeParts): Pick<ServiceImplementation<typeof PluginService>, 'watchPlugins' | 'getHistory'> {
  return {
    async *watchPlugins({ ids }, { signal }) {
      const changes = lifecycle.watch<Told>(
        signal,
        ({ record, previous }) => ({ plugin: pluginToProto(record), previousState: stateToProto(previous) }),
        () => loader.records.map((record) => ({ plugin: pluginToProto(record) })),
      );
      for await (const change of changes) {
        if (ids.length === 0 || ids.includes(change.plugin?.id ?? '')) yield change;
      }
    },
    getHistory: async ({ id }) => {
      const transitions = await history.of(id);
      // Of one that never was, this says so.
      if (transitions.length === 0) loader.record(id);
      return {
        transitions: transitions.map(({ state, reason, version, atMs }) => ({
          state: stateToProto(state),
          reason,
          version,
          time: timestampFromMs(atMs),
        })),
      };
    },
  };
}
