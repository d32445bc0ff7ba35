import type { Manifest } from '../../proto/gen/lamella/kernel/v1/manifest_pb.ts';
import type { ResolutionFailure } from './resolution-failure.ts';

/** Tells whether two instances of a plugin must never run side by side. */
export function isExclusive({ exclusive, exclusiveResources }: Manifest): boolean {
  return exclusive || exclusiveResources.length > 0;
}

/** Resources that two plugins claim for themselves. The one that comes first keeps them. */
export function exclusiveFailures(
  added: readonly Manifest[],
  active: readonly Manifest[],
): ResolutionFailure[] {
  const owners = new Map<string, string>();
  for (const { id, exclusiveResources } of active) {
    for (const resource of exclusiveResources) owners.set(resource, id);
  }
  return added.flatMap(({ id, exclusiveResources }) =>
    exclusiveResources.flatMap((resource) => {
      const owner = owners.get(resource) ?? id;
      owners.set(resource, owner);
      return owner === id ? [] : [claimed(id, resource, owner)];
    }),
  );
}

function claimed(pluginId: string, resource: string, owner: string): ResolutionFailure {
  return {
    pluginId,
    reason: 'EXCLUSIVE_RESOURCE',
    message: `it needs '${resource}' for itself alone, which '${owner}' holds.`,
    repair: `Unload '${owner}', or let one of them use another resource and name that under exclusiveResources.`,
  };
}
