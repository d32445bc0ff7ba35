import type { Manifest } from '../../proto/gen/lamella/kernel/v1/manifest_pb.ts';
import type { PluginState } from '../registry/state.ts';
import type { Dependencies } from './dependencies.ts';
import type { Lifecycle, StateChange } from './lifecycle.ts';
import type { PluginRecord } from './record.ts';

/** States in which others can rely on a plugin. */
const SERVES: ReadonlySet<PluginState> = new Set(['ACTIVE', 'DEGRADED']);

/** States in which it is certain that they cannot; in those left, a plugin is on its way to one or the other. */
const DOES_NOT_SERVE: ReadonlySet<PluginState> = new Set([
  'FAILED',
  'BACKOFF',
  'QUARANTINED',
  'STOPPED',
  'REMOVED',
]);

/**
 * Turns plugins DEGRADED that serve although something is wrong, with them or with what they need, and ACTIVE again as
 * soon as nothing is.
 */
export class Degradation {
  readonly #lifecycle: Lifecycle;
  readonly #dependencies: Dependencies;
  readonly #records: () => readonly PluginRecord[];
  /** What was said of a plugin before it turned DEGRADED. */
  readonly #before: WeakMap<PluginRecord, string> = new WeakMap();
  /** The version that each plugin served last: those who need it may miss something of the next. */
  readonly #served: WeakMap<PluginRecord, Manifest> = new WeakMap();
  #isStopped = false;

  constructor(lifecycle: Lifecycle, dependencies: Dependencies, records: () => readonly PluginRecord[]) {
    this.#lifecycle = lifecycle;
    this.#dependencies = dependencies;
    this.#records = records;
    lifecycle.follow((change) => this.#onChange(change));
  }

  /** Nobody degrades because everything stops. */
  stop(): void {
    this.#isStopped = true;
  }

  /** Looks at a plugin that serves: is anything wrong, or no longer? */
  examine(record: PluginRecord): void {
    if (this.#isStopped || !SERVES.has(record.state)) return;
    const ailment = this.#ailment(record);
    if (ailment !== '') {
      if (record.state === 'ACTIVE') this.#before.set(record, record.reason);
      else if (record.reason === ailment) return;
      this.#lifecycle.move(record, 'degrade', ailment);
    } else if (record.state === 'DEGRADED') {
      this.#lifecycle.move(record, 'activate', this.#before.get(record) ?? '');
    }
  }

  #onChange(change: StateChange): void {
    if (this.#isStopped) return;
    const { record, previous } = change;
    // Also one that was ACTIVE before: what is in service may be another version.
    if (record.state === 'ACTIVE' || previous !== record.state) this.examine(record);
    const before = this.#served.get(record) ?? record.manifest;
    if (SERVES.has(record.state)) this.#served.set(record, record.manifest);
    if (!concernsOthers(change, before)) return;
    const versions = [...new Set([record.manifest, before])];
    const dependants = new Set(versions.flatMap((version) => this.#dependencies.dependants(record, version)));
    if (dependants.size === 0) return;
    for (const other of this.#records()) if (dependants.has(other.id)) this.examine(other);
  }

  #ailment(record: PluginRecord): string {
    const own = record.active?.instance.load.vitals.ailment ?? '';
    const missing = this.#dependencies.unserved(record, (provider) => this.#isServing(provider, record));
    return [own, ...missing].filter((ailment) => ailment !== '').join('; ');
  }

  /** One that is being started keeps those who need it as they are. */
  #isServing({ state }: PluginRecord, dependant: PluginRecord): boolean {
    if (SERVES.has(state)) return true;
    return !DOES_NOT_SERVE.has(state) && dependant.state === 'ACTIVE';
  }
}

/** @param before - Version that the plugin served last. */
function concernsOthers({ record, previous }: StateChange, before: Manifest): boolean {
  if (SERVES.has(record.state)) return !SERVES.has(previous) || before !== record.manifest;
  return previous !== record.state && DOES_NOT_SERVE.has(record.state);
}
