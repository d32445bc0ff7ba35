import semver from 'semver';
import type { Manifest } from '../../proto/gen/lamella/kernel/v1/manifest_pb.ts';

/** One thing that keeps a plugin from being loaded. */
export interface ResolutionFailure {
  readonly pluginId: string;
  readonly reason:
    | 'MISSING_SERVICE'
    | 'DEPENDENCY_CYCLE'
    | 'LAYER_VIOLATION'
    | 'DUPLICATE_PLUGIN'
    | 'DUPLICATE_PROVIDER'
    | 'KERNEL_VERSION';
  readonly message: string;
  /** What the author or operator can do about it. */
  readonly repair: string;
}

/** Order of start and everything that is wrong. */
export interface Resolution {
  /** Ids of the new plugins, dependencies first; those that failed are left out. */
  readonly order: readonly string[];
  readonly failures: readonly ResolutionFailure[];
}

/** The layers from the bottom; a plugin may use its own and lower ones. */
const LAYERS = ['kernel', 'data', 'model', 'serving', 'app'];

/**
 * Checks a set of plugins against each other and against those that run. Pure.
 *
 * @param added - Manifests to be loaded.
 * @param active - Manifests of the plugins that are loaded, the kernel's own among them.
 */
export function resolveGraph(
  added: readonly Manifest[],
  active: readonly Manifest[],
  kernelVersion: string,
): Resolution {
  const providers = providersOf([...active, ...added]);
  const failures = [
    ...duplicates(added, active),
    ...added.flatMap((manifest) => kernelFailures(manifest, kernelVersion)),
    ...added.flatMap((manifest) => requirementFailures(manifest, providers)),
  ];
  const { order, cycles } = sort(added, providers);
  failures.push(...cycles);
  const failed = new Set(failures.map(({ pluginId }) => pluginId));
  return { order: order.filter((id) => !failed.has(id)), failures };
}

type Providers = ReadonlyMap<string, readonly Manifest[]>;

function providersOf(manifests: readonly Manifest[]): Providers {
  const providers = new Map<string, Manifest[]>();
  for (const manifest of manifests) {
    for (const { service } of manifest.provides) {
      providers.set(service, [...(providers.get(service) ?? []), manifest]);
    }
  }
  return providers;
}

function duplicates(added: readonly Manifest[], active: readonly Manifest[]): ResolutionFailure[] {
  const failures: ResolutionFailure[] = [];
  const ids = new Set(active.map(({ id }) => id));
  const taken = new Map<string, string>();
  for (const { id, provides } of active) {
    for (const provision of provides) taken.set(`${provision.service} ${provision.extension}`, id);
  }
  for (const { id, provides } of added) {
    if (ids.has(id)) {
      failures.push({
        pluginId: id,
        reason: 'DUPLICATE_PLUGIN',
        message: 'there is another plugin with this id.',
        repair: 'Give one of them another id.',
      });
    }
    ids.add(id);
    for (const { service, extension } of provides) {
      const owner = taken.get(`${service} ${extension}`);
      if (owner !== undefined && owner !== id) {
        failures.push({
          pluginId: id,
          reason: 'DUPLICATE_PROVIDER',
          message: `${service} is already provided by '${owner}'.`,
          repair: 'Unload that plugin, or give this provision an extension name of its own.',
        });
      }
      taken.set(`${service} ${extension}`, id);
    }
  }
  return failures;
}

function kernelFailures({ id, kernel }: Manifest, kernelVersion: string): ResolutionFailure[] {
  if (kernel === '' || semver.satisfies(kernelVersion, kernel)) return [];
  return [
    {
      pluginId: id,
      reason: 'KERNEL_VERSION',
      message: `it needs kernel ${kernel}, this one is ${kernelVersion}.`,
      repair: 'Install a version of the plugin made for this kernel.',
    },
  ];
}

function requirementFailures(manifest: Manifest, providers: Providers): ResolutionFailure[] {
  return manifest.requires.flatMap(({ service, optional }): ResolutionFailure[] => {
    const found = providers.get(service) ?? [];
    const above = found.find((provider) => layerOf(provider.id) > layerOf(manifest.id));
    if (above !== undefined) {
      return [
        {
          pluginId: manifest.id,
          reason: 'LAYER_VIOLATION',
          message: `it requires ${service} of '${above.id}', which is in a higher layer.`,
          repair: 'Turn the dependency around, or move the code that needs it up.',
        },
      ];
    }
    if (found.length > 0 || optional) return [];
    return [
      {
        pluginId: manifest.id,
        reason: 'MISSING_SERVICE',
        message: `it requires ${service}, which no plugin provides.`,
        repair: 'Load a plugin that provides it, or mark the requirement optional.',
      },
    ];
  });
}

/** Plugins outside the four layers stand above all of them. */
function layerOf(pluginId: string): number {
  const layer = LAYERS.indexOf(pluginId.split('.')[0] ?? '');
  return layer === -1 ? LAYERS.length : layer;
}

/** Depth-first topological sort; a path that comes back to itself is a cycle. */
function sort(
  added: readonly Manifest[],
  providers: Providers,
): { order: string[]; cycles: ResolutionFailure[] } {
  const mine = new Set(added.map(({ id }) => id));
  const byId = new Map(added.map((manifest) => [manifest.id, manifest]));
  const order: string[] = [];
  const cycles: ResolutionFailure[] = [];
  const done = new Set<string>();
  const visit = (id: string, path: readonly string[]): void => {
    if (done.has(id)) return;
    const start = path.indexOf(id);
    if (start !== -1) {
      cycles.push(cycleFailure([...path.slice(start), id]));
      return;
    }
    for (const next of dependencies(byId.get(id), providers)) {
      if (mine.has(next) && next !== id) visit(next, [...path, id]);
    }
    if (!done.has(id)) order.push(id);
    done.add(id);
  };
  for (const { id } of added) visit(id, []);
  return { order, cycles };
}

function dependencies(manifest: Manifest | undefined, providers: Providers): string[] {
  return (manifest?.requires ?? [])
    .filter(({ optional }) => !optional)
    .flatMap(({ service }) => (providers.get(service) ?? []).map(({ id }) => id));
}

function cycleFailure(path: readonly string[]): ResolutionFailure {
  return {
    pluginId: path[0] ?? '',
    reason: 'DEPENDENCY_CYCLE',
    message: `it depends on itself: ${path.join(' -> ')}.`,
    repair: 'Mark one of these requirements optional, or split a plugin.',
  };
}
