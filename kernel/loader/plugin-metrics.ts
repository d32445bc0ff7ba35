import type { Metrics } from '../../sdk/index.ts';
import type { Lifecycle } from './lifecycle.ts';

/** Counts crashes of plugins, and shows which of them do not run, for rules that alert. */
export function countPlugins(lifecycle: Pick<Lifecycle, 'follow'>, metrics: Metrics): void {
  const crashes = metrics.counter({
    name: 'lamella_plugin_crashes_total',
    help: 'Times that an instance of a plugin ended by itself or did not start.',
    labels: ['plugin'],
  });
  const failed = metrics.gauge({
    name: 'lamella_plugin_failed',
    help: '1 while a plugin does not run and is not started again.',
    labels: ['plugin'],
  });
  lifecycle.follow(({ record: { id: plugin, state }, previous }) => {
    const isCrash = state === 'BACKOFF' || (state === 'FAILED' && previous !== 'FAILED');
    // Begins at 0, so that the first crash is an increase.
    crashes.add(isCrash ? 1 : 0, { plugin });
    failed.set(state === 'FAILED' ? 1 : 0, { plugin });
  });
}
