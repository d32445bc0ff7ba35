import type { Manifest } from '../../proto/gen/lamella/kernel/v1/manifest_pb.ts';
import { findCycles, sortByDependencies } from './dependency-order.ts';
import { exclusiveFailures } from './exclusive.ts';
import { duplicateFailures, kernelFailures } from './graph-checks.ts';
import { type Links, linkRequirements } from './graph-links.ts';
import type { ResolutionFailure } from './resolution-failure.ts';

export type { ResolutionFailure };

/** Order of start and everything that is wrong. */
export interface Resolution {
  /** Ids of the new plugins, dependencies first; exactly those without a failure. */
  readonly order: readonly string[];
  /** In the order of the plugins given, all failures of one plugin together. */
  readonly failures: readonly ResolutionFailure[];
}

/**
 * Checks a set of plugins against each other and against those that run. Pure; the order of the input changes nothing
 * but the order among plugins that do not depend on each other.
 *
 * @param added - Manifests to be loaded.
 * @param active - Manifests of the plugins that are loaded; they are taken to be in order.
 * @param kernelVersion - Semantic version of this kernel.
 */
export function resolveGraph(
  added: readonly Manifest[],
  active: readonly Manifest[],
  kernelVersion: string,
): Resolution {
  const links = linkRequirements(added, active);
  const failures = [
    ...duplicateFailures(added, active),
    ...exclusiveFailures(added, active),
    ...kernelFailures(added, kernelVersion),
    ...links.failures,
    ...findCycles(links.hard).flatMap(cycleFailures),
  ];
  failures.push(...dependentFailures(links, failures));
  const failed = new Set(failures.map(({ pluginId }) => pluginId));
  const ids = [...new Set(added.map(({ id }) => id))];
  return {
    order: sortByDependencies(
      ids.filter((id) => !failed.has(id)),
      links,
    ),
    failures: ids.flatMap((id) => failures.filter(({ pluginId }) => pluginId === id)),
  };
}

/** Every plugin of a cycle is told, each with the way from itself back to itself. */
function cycleFailures(cycle: readonly string[]): ResolutionFailure[] {
  return cycle.map((pluginId, index) => {
    const path = shortened([...cycle.slice(index), ...cycle.slice(0, index), pluginId]);
    return {
      pluginId,
      reason: 'DEPENDENCY_CYCLE',
      message: `it depends on itself: ${path.join(' -> ')}.`,
      repair: 'Mark one of these requirements optional, or move what both need into a plugin of its own.',
    };
  });
}

/** Longest way that is told in full; the ends of a longer one show where to cut. */
const SHOWN_STEPS = 12;

function shortened(path: readonly string[]): readonly string[] {
  if (path.length <= SHOWN_STEPS) return path;
  const half = SHOWN_STEPS / 2;
  return [...path.slice(0, half), `${path.length - SHOWN_STEPS} more`, ...path.slice(-half)];
}

/** Plugins that are in order themselves and need one that is not, however far away. */
function dependentFailures(links: Links, failures: readonly ResolutionFailure[]): ResolutionFailure[] {
  const failed = new Set(failures.map(({ pluginId }) => pluginId));
  const dependents: ResolutionFailure[] = [];
  for (let isGrowing = true; isGrowing;) {
    isGrowing = false;
    for (const [pluginId, needed] of links.hard) {
      const culprit = failed.has(pluginId) ? undefined : [...needed].find((id) => failed.has(id));
      if (culprit === undefined) continue;
      failed.add(pluginId);
      isGrowing = true;
      dependents.push({
        pluginId,
        reason: 'DEPENDENCY_FAILED',
        message: `it needs '${culprit}', which cannot be loaded.`,
        repair: `Repair '${culprit}' first.`,
      });
    }
  }
  return dependents;
}
