import semver from 'semver';
import type { Manifest } from '../../proto/gen/lamella/kernel/v1/manifest_pb.ts';
import type { ResolutionFailure } from './resolution-failure.ts';

/** Ids and services that two plugins claim. The one that comes first keeps them. */
export function duplicateFailures(
  added: readonly Manifest[],
  active: readonly Manifest[],
): ResolutionFailure[] {
  const ids = new Set(active.map(({ id }) => id));
  const owners = new Map<string, string>();
  for (const { id, provides } of active) {
    for (const provision of provides) owners.set(provisionKey(provision), id);
  }
  return added.flatMap((manifest) => {
    const failures = ids.has(manifest.id) ? [duplicatePlugin(manifest.id)] : claimFailures(manifest, owners);
    ids.add(manifest.id);
    return failures;
  });
}

type Provision = Manifest['provides'][number];

function provisionKey({ service, extension }: Provision): string {
  return `${service} ${extension}`;
}

function duplicatePlugin(pluginId: string): ResolutionFailure {
  return {
    pluginId,
    reason: 'DUPLICATE_PLUGIN',
    message: 'there is another plugin with this id.',
    repair: 'Load only one of them, or give one another id in its plugin.json.',
  };
}

function claimFailures({ id, provides }: Manifest, owners: Map<string, string>): ResolutionFailure[] {
  const failures: ResolutionFailure[] = [];
  for (const provision of provides) {
    const key = provisionKey(provision);
    const owner = owners.get(key);
    if (owner === undefined || owner === id) {
      owners.set(key, id);
      continue;
    }
    const { service, extension } = provision;
    failures.push({
      pluginId: id,
      reason: 'DUPLICATE_PROVIDER',
      message: `${service}${extension === '' ? '' : ` '${extension}'`} is already provided by '${owner}'.`,
      repair: `Unload '${owner}', or give this provision an extension name of its own.`,
    });
  }
  return failures;
}

/** Plugins made for another kernel. */
export function kernelFailures(added: readonly Manifest[], kernelVersion: string): ResolutionFailure[] {
  return added
    .filter(
      ({ kernel }) => kernel !== '' && !semver.satisfies(kernelVersion, kernel, { includePrerelease: true }),
    )
    .map(({ id, kernel }) => ({
      pluginId: id,
      reason: 'KERNEL_VERSION',
      message: `it needs kernel ${kernel}, this one is ${kernelVersion}.`,
      repair: 'Install a version of the plugin made for this kernel.',
    }));
}
