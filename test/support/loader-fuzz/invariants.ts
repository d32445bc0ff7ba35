import type { Generation } from '../../../kernel/loader/generation.ts';
import type { PluginRecord } from '../../../kernel/loader/record.ts';
import type { PluginState } from '../../../kernel/registry/state.ts';
import { Code, isDeclaredError } from '../../../sdk/index.ts';
import { StatusError } from '../../../kernel/status-error.ts';
import type { FuzzInstance } from './instance.ts';
import type { FuzzCall, LoaderWorld } from './world.ts';

/** States of a plugin whose instance gets the calls. */
const SERVING: ReadonlySet<PluginState> = new Set(['ACTIVE', 'DEGRADED']);

/** States in which a plugin may stay; each of the others is on the way to one of these. */
const LASTING: ReadonlySet<PluginState> = new Set([
  'ACTIVE',
  'DEGRADED',
  'FAILED',
  'RESOLVED',
  'QUARANTINED',
]);

/** What must never be the case, whatever happens; each as a sentence. */
export function violationsOf(world: LoaderWorld): string[] {
  return [
    ...world.violations,
    ...world.loader.records.flatMap((record) => recordViolations(record)),
    ...instanceViolations(world),
    ...routeViolations(world),
    ...world.operations.flatMap(({ name, error }) =>
      error === undefined || isDeclaredError(error) || error.message === 'it is not signed'
        ? []
        : [`${name} failed with what no operator can understand: ${error.stack}`],
    ),
    ...world.calls.flatMap(callViolations),
  ];
}

/** What must not be the case once nothing is under way and time has passed. */
export function unrestOf(world: LoaderWorld): string[] {
  const { records } = world.loader;
  return [
    ...world.operations.filter(({ isDone }) => !isDone).map(({ name }) => `${name} never ends`),
    ...world.calls.filter(({ isDone }) => !isDone).map(({ service }) => `a call to ${service} hangs`),
    ...records.flatMap(({ id, state }) => (LASTING.has(state) ? [] : [`${id} stays ${state}`])),
    ...records.flatMap(({ id, leaving }) => (leaving.length === 0 ? [] : [`${id} keeps what left it`])),
    ...records.flatMap((record) => degradationViolations(record, records)),
  ];
}

/** What must not be left of a kernel that has stopped. */
export function remainsOf(world: LoaderWorld): string[] {
  return [
    ...world.instances.flatMap((instance) => endViolations(instance)),
    ...world.operations.filter(({ isDone }) => !isDone).map(({ name }) => `${name} never ends`),
    ...world.calls.filter(({ isDone }) => !isDone).map(({ service }) => `a call to ${service} hangs`),
    ...world.loader.records.flatMap(({ id, state }) =>
      state === 'STOPPED' || state === 'QUARANTINED' ? [] : [`${id} is left ${state}`],
    ),
    ...(world.time.pendingCount === 0 ? [] : [`${world.time.pendingCount} timers still run`]),
  ];
}

/** What ought to be so, and what it means when it is not. */
type Promised = readonly (readonly [boolean, string])[];

function recordViolations(record: PluginRecord): string[] {
  const { id, state } = record;
  return [...placePromises(record), ...servingPromises(record), ...leavingPromises(record)].flatMap(
    ([isKept, otherwise]) => (isKept ? [] : [`${id} is ${state} and ${otherwise}`]),
  );
}

function placePromises({ state, active, canary, standby, slot, manifest }: PluginRecord): Promised {
  const isDown = state === 'QUARANTINED';
  const isSpare = canary !== undefined || standby !== undefined;
  return [
    [SERVING.has(state) === (active !== undefined), 'has something in service, or has not'],
    [!isDown || !isSpare, 'has something that may serve'],
    [slot.instance === active?.instance, 'its calls go elsewhere than to what is in service'],
    [slot.canary?.instance === canary?.instance, 'its trial calls go elsewhere than to its canary'],
    [active === undefined || manifest === active.manifest, 'says another version than it serves'],
  ];
}

function servingPromises({ active, canary, leaving }: PluginRecord): Promised {
  return [active, canary].flatMap((generation) => {
    if (generation === undefined) return [];
    const name = `version ${generation.manifest.version} is in service`;
    return [
      [!leaving.includes(generation), `${name} and on its way out`],
      [generation.retirement === undefined, `${name} and retires`],
      [instanceOf(generation).stops === 0, `${name} and stopped`],
      [!generation.instance.load.events.isClosed, `${name} and gets no events`],
    ] as const;
  });
}

function leavingPromises({ standby, leaving }: PluginRecord): Promised {
  return [
    [
      standby === undefined || leaving.includes(standby),
      'what waits to be called back is not on its way out',
    ],
    ...leaving.map(
      ({ instance, manifest }) =>
        [instance.load.events.isClosed, `version ${manifest.version} gets events on its way out`] as const,
    ),
  ];
}

function instanceOf({ instance }: Generation): FuzzInstance {
  return instance as FuzzInstance;
}

function instanceViolations({ loader, instances, operations }: LoaderWorld): string[] {
  const known = new Set(
    loader.records.flatMap(({ active, canary, leaving }) =>
      [active, canary, ...leaving].map((generation) => generation?.instance),
    ),
  );
  // While an operation runs, what it has started may not be anywhere yet.
  const lost = operations.every(({ isDone }) => isDone)
    ? instances.filter((instance) => instance.isRunning && !known.has(instance))
    : [];
  return [
    ...lost.map(({ pluginId, version }) => `${pluginId}@${version} runs and nobody knows of it`),
    ...instances
      .filter(({ stops }) => stops > 1)
      .map(({ pluginId, version, stops }) => `${pluginId}@${version} was stopped ${stops} times`),
  ];
}

function routeViolations({ loader, router, routes, exposed }: LoaderWorld): string[] {
  const slots = new Set(loader.records.map(({ slot }) => slot));
  const open = [...routes.descriptors.values()].flatMap(({ typeName, methods }) =>
    methods.map(({ name }) => `/${typeName}/${name}`),
  );
  const wrong = router.services.flatMap((service) =>
    router.providers(service).every((slot) => slots.has(slot))
      ? []
      : [`${service} leads to a plugin that is gone`],
  );
  const serving = loader.records.filter(({ active }) => active !== undefined);
  const closed = serving.flatMap(({ id, slot, manifest }) =>
    manifest.provides
      .filter(({ service }) => !router.providers(service).includes(slot) || !routes.descriptors.has(service))
      .map(({ service }) => `${id} serves ${service} and no call finds it`),
  );
  const strays = [...routes.descriptors.keys()].filter((service) => !router.has(service));
  return [
    ...wrong,
    ...closed,
    ...strays.map((service) => `${service} is described and nobody provides it`),
    ...(open.toSorted().join() === [...exposed].toSorted().join()
      ? []
      : ['what can be called is not what is described']),
  ];
}

/** What a call may be told. */
const REFUSALS: ReadonlySet<Code> = new Set<Code>([Code.UNAVAILABLE, Code.RESOURCE_EXHAUSTED]);

function callViolations(made: FuzzCall): string[] {
  const { service, error } = made;
  if (error === undefined || isExpected(made, error)) return [];
  return [`a call to ${service} was told: ${error instanceof Error ? error.stack : 'no error at all'}`];
}

function isExpected({ isCancelled, isUnprovided }: FuzzCall, error: unknown): boolean {
  if (isDeclaredError(error)) {
    return REFUSALS.has(error.code) || (isUnprovided && error.reason === 'SERVICE_NOT_FOUND');
  }
  if (!(error instanceof StatusError)) return false;
  return error.message === 'broken on purpose' || (isCancelled && error.code === Code.CANCELLED);
}

function endViolations({ pluginId, version, stops, isGone }: FuzzInstance): string[] {
  return stops === 1 || (isGone && stops === 0) ? [] : [`${pluginId}@${version} was stopped ${stops} times`];
}

/** A plugin is DEGRADED exactly while it or what it needs is in trouble. */
function degradationViolations(
  { id, state, active, manifest }: PluginRecord,
  records: PluginRecord[],
): string[] {
  if (active === undefined) return [];
  const { ailment } = active.instance.load.vitals;
  const served = new Set(
    records
      .filter((other) => SERVING.has(other.state))
      .flatMap((other) => other.manifest.provides.map(({ service }) => service)),
  );
  const missing = manifest.requires
    .filter(({ service }) => !served.has(service))
    .map(({ service }) => service);
  const isInTrouble = ailment !== '' || missing.length > 0;
  if (isInTrouble === (state === 'DEGRADED')) return [];
  return [`${id} is ${state}; its trouble: '${ailment}', it misses: '${missing.join(', ')}'`];
}
