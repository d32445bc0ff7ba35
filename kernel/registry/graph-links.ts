import semver from 'semver';
import type { Manifest } from '../../proto/gen/lamella/kernel/v1/manifest_pb.ts';
import type { Dependencies } from './dependency-order.ts';
import type { ResolutionFailure } from './resolution-failure.ts';
import { layerOfPlugin, layerOfService } from './layer.ts';

/** Which of the new plugins need which. */
export interface Links extends Dependencies {
  readonly failures: readonly ResolutionFailure[];
}

type Requirement = Manifest['requires'][number];
type Providers = ReadonlyMap<string, readonly Manifest[]>;

/** Finds for every requirement of the new plugins who meets it, and tells those that nobody meets. */
export function linkRequirements(added: readonly Manifest[], active: readonly Manifest[]): Links {
  const providers = providersOf([...active, ...added]);
  const isNew = new Set(added.map(({ id }) => id));
  const hard = new Map<string, Set<string>>();
  const soft = new Map<string, Set<string>>();
  const failures: ResolutionFailure[] = [];
  for (const manifest of added) {
    const needed = new Set<string>();
    const liked = new Set<string>();
    for (const requirement of manifest.requires) {
      const found = meet(manifest, requirement, providers);
      if ('failure' in found) {
        failures.push(found.failure);
        continue;
      }
      // With several to choose from, none of them alone is needed; one that runs already needs no order.
      const isNeeded = !requirement.optional && found.ids.length === 1;
      for (const id of found.ids)
        if (isNew.has(id) && id !== manifest.id) (isNeeded ? needed : liked).add(id);
    }
    hard.set(manifest.id, needed);
    soft.set(manifest.id, liked);
  }
  return { hard, soft, failures };
}

function providersOf(manifests: readonly Manifest[]): Providers {
  const providers = new Map<string, Manifest[]>();
  for (const manifest of manifests) {
    for (const service of new Set(manifest.provides.map((provision) => provision.service))) {
      const known = providers.get(service);
      if (known === undefined) providers.set(service, [manifest]);
      else known.push(manifest);
    }
  }
  return providers;
}

type Met = { readonly ids: readonly string[] } | { readonly failure: ResolutionFailure };

function meet(manifest: Manifest, requirement: Requirement, providers: Providers): Met {
  const { service, version, extension, optional } = requirement;
  const known = providers.get(service) ?? [];
  const violation = layerViolation(manifest, service, known);
  if (violation !== undefined) return { failure: violation };
  const named = known.filter(({ provides }) =>
    provides.some(
      (provision) => provision.service === service && (extension === '' || provision.extension === extension),
    ),
  );
  const fitting = named.filter((provider) => version === '' || semver.satisfies(provider.version, version));
  if (fitting.length > 0 || optional) return { ids: fitting.map(({ id }) => id) };
  const what = extension === '' ? service : `'${extension}' for ${service}`;
  return { failure: named.length === 0 ? missing(manifest, what) : mismatch(manifest, requirement, named) };
}

function missing({ id }: Manifest, what: string): ResolutionFailure {
  return {
    pluginId: id,
    reason: 'MISSING_SERVICE',
    message: `it requires ${what}, which no plugin provides.`,
    repair:
      'Load a plugin that provides it (one that is being unloaded does not count), or mark the requirement optional.',
  };
}

function mismatch(
  { id }: Manifest,
  { service, version }: Requirement,
  named: readonly Manifest[],
): ResolutionFailure {
  const there = named.map((provider) => `'${provider.id}' ${provider.version}`).join(', ');
  return {
    pluginId: id,
    reason: 'VERSION_MISMATCH',
    message: `it requires ${service} in version ${version}; there is ${there}.`,
    repair: 'Install a provider of that version, or widen the range if the newer one works.',
  };
}

/** A plugin may call its own layer and those below; which layer a service is in, its package says first. */
function layerViolation(
  manifest: Manifest,
  service: string,
  providers: readonly Manifest[],
): ResolutionFailure | undefined {
  const own = layerOfPlugin(manifest.id);
  const byPackage = layerOfService(service);
  const owner = providers.find(({ id }) => layerOfPlugin(id) > own);
  const isEveryoneAbove = providers.length > 0 && providers.every(({ id }) => layerOfPlugin(id) > own);
  const isAbove = byPackage === undefined ? isEveryoneAbove : byPackage > own;
  if (!isAbove) return undefined;
  return {
    pluginId: manifest.id,
    reason: 'LAYER_VIOLATION',
    message: `it requires ${service}${owner === undefined ? '' : ` of '${owner.id}'`}, which is in a higher layer.`,
    repair: 'Turn the dependency around, or move the code that needs it up.',
  };
}
