import { PluginService, PluginState } from '../../../proto/gen/lamella/kernel/v1/plugin_service_pb.ts';
import { isDeclaredError } from '../../../sdk/index.ts';
import { type Connection, withService } from '../connect.ts';
import { addressOf } from '../../link/connection.ts';
import { LinkUnreachable } from '../../link/errors.ts';
import type { Check } from './check.ts';

/** The kernel that runs, if one does, and how its plugins are. */
export async function kernelChecks(kernel: Connection): Promise<Check[]> {
  const where = addressOf(kernel.target);
  try {
    const { plugins } = await withService(kernel, PluginService, (client) =>
      client.listPlugins({ pageSize: 1000 }, { timeoutMs: 5_000 }),
    );
    const ill = plugins.filter(({ state }) => state !== PluginState.ACTIVE);
    const detail = `answers at ${where}; ${plugins.length - ill.length} of ${plugins.length} plugins are active`;
    return [
      { name: 'kernel', verdict: 'ok', detail },
      ...ill.map(({ id, state, reason }): Check => {
        const name = Object.entries(PluginState).find(([, value]) => value === state)?.[0] ?? String(state);
        return { name: `plugin.${id}`, verdict: 'warning', detail: `${name}: ${reason}` };
      }),
    ];
  } catch (error) {
    const isAbsent = isDeclaredError(error) && error.reason === LinkUnreachable.definition.reason;
    const detail = isAbsent ? `none answers at ${where}` : `at ${where}: ${(error as Error).message}`;
    return [{ name: 'kernel', verdict: 'note', detail }];
  }
}
