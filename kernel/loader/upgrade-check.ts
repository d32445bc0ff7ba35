import type { Manifest } from '../../proto/gen/lamella/kernel/v1/manifest_pb.ts';
import { PluginStartFailed } from '../errors.ts';
import { isExclusive } from '../registry/exclusive.ts';
import { type Dependencies, describeFailures, refuse } from './dependencies.ts';
import { CanaryImpossible, CanaryIncompatible } from './errors.ts';
import type { PluginRecord } from './record.ts';

/**
 * Checks that a version may take the place of what is loaded.
 *
 * @throws PLUGIN_START_FAILED, PLUGINS_UNRESOLVED, CANARY_IMPOSSIBLE, CANARY_INCOMPATIBLE
 */
export function checkUpgrade(
  record: PluginRecord,
  next: Manifest,
  options: { readonly dependencies: Dependencies; readonly isCanary: boolean },
): void {
  const { id, active } = record;
  checkSameId(id, next);
  refuse(describeFailures(options.dependencies.upgradeFailures(record, next)));
  if (!options.isCanary) return;
  if (active === undefined) throw new CanaryImpossible({ plugin: id, why: 'nothing is in service' });
  if (isExclusive(next) || isExclusive(active.manifest)) {
    throw new CanaryImpossible({
      plugin: id,
      why: 'it is exclusive, so two versions never run side by side',
    });
  }
  const missing = active.manifest.provides.filter(
    ({ service, extension }) =>
      !next.provides.some((other) => other.service === service && other.extension === extension),
  );
  if (missing.length > 0) {
    throw new CanaryIncompatible({
      plugin: id,
      services: missing.map(({ service }) => service).join(', '),
    });
  }
}

/** @throws PLUGIN_START_FAILED when a folder has become that of another plugin. */
export function checkSameId(id: string, next: Manifest): void {
  if (next.id === id) return;
  throw new PluginStartFailed({
    plugin: id,
    cause: `its plugin.json now says id '${next.id}'; unload '${id}' and load the folder anew.`,
  });
}
