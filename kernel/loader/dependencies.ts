import type { Manifest } from '../../proto/gen/lamella/kernel/v1/manifest_pb.ts';
import { PluginInUse, PluginsUnresolved } from '../errors.ts';
import { resolveGraph, type ResolutionFailure } from '../registry/graph.ts';
import type { PluginRecords } from './plugin-records.ts';
import type { PluginRecord } from './record.ts';

/** Who needs whom among the plugins that are loaded, and whether a change leaves everyone with what it needs. */
export class Dependencies {
  readonly #records: PluginRecords;
  readonly #kernelVersion: string;

  constructor(records: PluginRecords, kernelVersion: string) {
    this.#records = records;
    this.#kernelVersion = kernelVersion;
  }

  /** What is in quarantine provides nothing, and its manifest may claim anything. */
  #usable(): PluginRecord[] {
    return this.#records.all.filter(({ state }) => state !== 'QUARANTINED');
  }

  /** What keeps plugins from being loaded beside those there are; what is being unloaded is of no use to them. */
  failures(added: readonly Manifest[]): readonly ResolutionFailure[] {
    const staying = this.#usable().filter(({ isUnloading }) => !isUnloading);
    const active = staying.map(({ manifest }) => manifest);
    return resolveGraph(added, active, this.#kernelVersion).failures;
  }

  /**
   * What keeps plugins from being started together with the kernel. A service that nobody provides is no obstacle to one
   * that the run before had: somebody unloaded its provider by force and knew that it would be DEGRADED.
   */
  failuresAtStart(added: readonly StartedVersion[]): readonly ResolutionFailure[] {
    const missing = this.failures(added.map(({ manifest }) => manifest)).filter(isMissing);
    const degraded = new Set(missing.map(({ pluginId }) => pluginId));
    return this.failures(
      added.map(({ manifest, wasLoaded }) =>
        wasLoaded && degraded.has(manifest.id) ? withoutNeeds(manifest) : manifest,
      ),
    );
  }

  /** What keeps a plugin from being replaced by another version of it, its dependants' needs among it. */
  upgradeFailures(record: PluginRecord, next: Manifest): readonly ResolutionFailure[] {
    const others = this.#usable().filter((other) => other !== record);
    const dependants = new Set(this.dependants(record));
    const affected = others.filter(({ id }) => dependants.has(id));
    const rest = others.filter(({ id }) => !dependants.has(id));
    const failuresWith = (manifest: Manifest): readonly ResolutionFailure[] =>
      resolveGraph(
        [manifest, ...affected.map((other) => other.manifest)],
        rest.map((other) => other.manifest),
        this.#kernelVersion,
      ).failures;
    // What was wrong before is not the new version's doing.
    const before = new Set(describeFailures(failuresWith(record.manifest)));
    return failuresWith(next).filter((failure) => !before.has(describeFailures([failure]).join()));
  }

  /** Services that a plugin requires and that none of their providers serves, each with why; empty when all is well. */
  unserved(record: PluginRecord, isServing: (provider: PluginRecord) => boolean): string[] {
    const needed = record.manifest.requires.filter(({ optional }) => !optional);
    if (needed.length === 0) return [];
    const others = this.#usable().filter((other) => other !== record);
    return needed.flatMap(({ service, extension }) => {
      const providers = others.filter(({ manifest }) =>
        manifest.provides.some(
          (provided) =>
            provided.service === service && (extension === '' || provided.extension === extension),
        ),
      );
      if (providers.some(isServing)) return [];
      const [first] = providers;
      if (first === undefined) return [`it requires ${service}, which no plugin provides`];
      const why = first.reason === '' ? '' : `: ${first.reason}`;
      return [`it requires ${service} of plugin '${first.id}', which is ${first.state}${why}`];
    });
  }

  /** Ids of the plugins that require a service which this one provides, or a version of it. */
  dependants(record: PluginRecord, version: Manifest = record.manifest): string[] {
    const provided = new Set(version.provides.map(({ service }) => service));
    const ids: string[] = [];
    for (const other of this.#records.each()) {
      const { requires } = other.manifest;
      if (requires.length === 0 || other === record || other.state === 'QUARANTINED') continue;
      if (requires.some(({ service, optional }) => !optional && provided.has(service))) ids.push(other.id);
    }
    return ids;
  }

  /** @throws PLUGIN_IN_USE names the plugins that require what this one provides. */
  checkUnneeded(record: PluginRecord): void {
    const dependants = this.dependants(record);
    // What is in quarantine provides nothing.
    if (dependants.length === 0 || record.state === 'QUARANTINED') return;
    throw new PluginInUse({ plugin: record.id, dependants: dependants.join(', ') });
  }
}

/** A plugin that starts together with the kernel. */
interface StartedVersion {
  readonly manifest: Manifest;
  /** Whether the run before had it. */
  readonly wasLoaded: boolean;
}

function isMissing({ reason }: ResolutionFailure): boolean {
  return reason === 'MISSING_SERVICE';
}

function withoutNeeds(manifest: Manifest): Manifest {
  return {
    ...manifest,
    requires: manifest.requires.map((requirement) => ({ ...requirement, optional: true })),
  };
}

/** Says what is wrong and how it is repaired, one line a failure. */
export function describeFailures(failures: readonly ResolutionFailure[]): string[] {
  return failures.map(({ pluginId, message, repair }) => `${pluginId}: ${message} ${repair}`);
}

/** @throws PLUGINS_UNRESOLVED with all problems, if there are any. */
export function refuse(problems: readonly string[]): void {
  if (problems.length === 0) return;
  throw new PluginsUnresolved({ failures: problems.map((problem) => `  - ${problem}`).join('\n') });
}
