import fc from 'fast-check';
import type { Generation } from '../../../kernel/loader/generation.ts';
import type { Symptom } from '../../../kernel/loader/vitals.ts';
import type { LoaderWorld, StartFailure } from './world.ts';
import { settle } from './world.ts';
import { ANSWER, FAIL, type FuzzInstance, WAIT } from './instance.ts';
import { GATES, type GateName } from './gates.ts';
import {
  folderOf,
  type FuzzPlugin,
  OTHER_PROVIDER,
  OTHER_SERVICE,
  OTHER_VERSION,
  VERSIONS,
} from './plugins.ts';

/** What is known of a world without looking into it. */
export interface WorldModel {
  /** The kernel stops: nobody asks anything of the loader any more. */
  isStopping: boolean;
}

/** Which generation of a plugin something happens to. */
export type Place = 'active' | 'canary' | 'standby' | 'leaving';

/** Something that happens. */
export interface Happening {
  readonly name: string;
  /** Nobody does it while the kernel stops. */
  readonly isRequest: boolean;
  readonly run: (world: LoaderWorld) => unknown;
}

interface Ailing {
  readonly symptom: Symptom;
  readonly ailment: string;
}

type GateMove = 'close' | 'open' | 'openOnce';

type Command = fc.AsyncCommand<WorldModel, LoaderWorld>;

/** Makes a command of a happening. Without `isSettled` the next one comes right after it, before its consequences. */
export function commandOf(
  happening: Happening,
  isSettled: boolean,
  check: (world: LoaderWorld) => void,
): Command {
  return {
    check: ({ isStopping }) => !isStopping || !happening.isRequest,
    run: async (model, world) => {
      if (happening.name === 'stop') model.isStopping = true;
      await happening.run(world);
      if (!isSettled) return;
      await settle();
      check(world);
    },
    toString: () => `${happening.name}${isSettled ? '' : ' …'}`,
  };
}

const versions = fc.constantFrom(...VERSIONS, OTHER_VERSION);
const percents = fc.constantFrom(0, 0, 30);
const places = fc.constantFrom<Place>('active', 'active', 'canary', 'standby', 'leaving');
const failures = fc.constantFrom<StartFailure | undefined>('broken', 'unreachable', undefined, undefined);
const nth = fc.nat(5);

/** Anything that can happen to a kernel with these plugins. */
export function anything(plugins: readonly FuzzPlugin[]): fc.Arbitrary<Happening> {
  const ids = fc.constantFrom(...plugins.map(({ id }) => id));
  const isOther = plugins.some(({ id }) => id === OTHER_PROVIDER);
  const services = fc.constantFrom(
    ...plugins.map(({ service }) => service),
    ...(isOther ? [OTHER_SERVICE] : []),
  );
  return weighted([
    [12, requests(ids)],
    [8, accidents(ids)],
    [8, calls(services)],
    [4, time],
    [8, gates],
    [1, stop],
  ]);
}

function weighted<Value>(choices: readonly (readonly [number, fc.Arbitrary<Value>])[]): fc.Arbitrary<Value> {
  return fc.oneof(...choices.map(([weight, arbitrary]) => ({ weight, arbitrary })));
}

/** What operators do. */
function requests(ids: fc.Arbitrary<string>): fc.Arbitrary<Happening> {
  return weighted([
    [6, fc.tuple(ids, versions, percents).map((given) => load(...given))],
    [2, fc.tuple(ids, percents).map((given) => reload(...given))],
    [2, fc.tuple(ids, fc.boolean()).map((given) => unload(...given))],
    [2, ids.map((id) => request(`promote ${id}`, ({ loader }) => loader.promote(id)))],
    [2, ids.map((id) => request(`roll back ${id}`, ({ loader }) => loader.rollBack(id)))],
  ]);
}

/** What happens to instances, and around the kernel. */
function accidents(ids: fc.Arbitrary<string>): fc.Arbitrary<Happening> {
  return weighted([
    [4, fc.tuple(ids, places).map((given) => crash(...given))],
    [
      3,
      fc
        .tuple(ids, places, fc.constantFrom<Symptom>('health', 'circuit'), fc.boolean())
        .map(([id, place, symptom, isIll]) =>
          ail(id, place, isIll ? { symptom, ailment: `its ${symptom} is bad` } : { symptom, ailment: '' }),
        ),
    ],
    [2, fc.tuple(ids, versions, failures).map((given) => breakStart(...given))],
    [1, fc.tuple(ids, fc.boolean()).map((given) => trust(...given))],
    [1, fc.tuple(ids, versions).map((given) => edit(...given))],
  ]);
}

/** Calls, and their ends. */
function calls(services: fc.Arbitrary<string>): fc.Arbitrary<Happening> {
  const whats = fc.constantFrom(ANSWER, FAIL, WAIT, WAIT);
  return weighted([
    [4, fc.tuple(services, whats, fc.boolean()).map((given) => call(...given))],
    [2, fc.tuple(nth, fc.boolean()).map((given) => finish(...given))],
    [1, nth.map((index) => cancel(index))],
    [1, fc.tuple(services, fc.constantFrom(ANSWER, FAIL)).map((given) => burst(...given))],
  ]);
}

const time = fc
  .constantFrom(1, 250, 1_000, 5_000, 20_000, 70_000)
  .map((ms) => happening(`${ms} ms pass`, (world) => world.time.advance(ms, settle)));

/** Operations are held up on their way, and go on. */
const gates = fc
  .tuple(fc.constantFrom(...GATES), fc.constantFrom<GateMove>('close', 'open', 'open', 'openOnce'))
  .map((given) => gate(...given));

const stop: fc.Arbitrary<Happening> = fc.constant(request('stop', ({ loader }) => loader.stopAll()));

function happening(name: string, run: Happening['run']): Happening {
  return { name, isRequest: false, run };
}

function request(name: string, work: (world: LoaderWorld) => unknown): Happening {
  return { name, isRequest: true, run: (world) => void world.ask(name, () => work(world)) };
}

function load(id: string, version: string, canaryPercent: number): Happening {
  const name = `load ${id}@${version}${canaryPercent === 0 ? '' : ' as a canary'}`;
  return request(name, ({ loader }) => loader.load(folderOf(id, version), { canaryPercent }));
}

function reload(id: string, canaryPercent: number): Happening {
  const name = `reload ${id}${canaryPercent === 0 ? '' : ' as a canary'}`;
  return request(name, ({ loader }) => loader.reload(id, { canaryPercent }));
}

function unload(id: string, isForced: boolean): Happening {
  return request(`unload ${id}${isForced ? ' by force' : ''}`, ({ loader }) => loader.unload(id, isForced));
}

function at(world: LoaderWorld, id: string, place: Place): FuzzInstance | undefined {
  const record = world.loader.records.find((each) => each.id === id);
  if (record === undefined) return undefined;
  const found: Generation | undefined = place === 'leaving' ? [...record.leaving][0] : record[place];
  return found?.instance as FuzzInstance | undefined;
}

function crash(id: string, place: Place): Happening {
  return happening(`${place} of ${id} crashes`, (world) =>
    at(world, id, place)?.crash(world.gates.pass('crash')),
  );
}

function ail(id: string, place: Place, { symptom, ailment }: Ailing): Happening {
  return happening(`${symptom} of ${place} of ${id} is ${ailment === '' ? 'good' : 'bad'}`, (world) =>
    at(world, id, place)?.load.vitals.set(symptom, ailment),
  );
}

function breakStart(id: string, version: string, failure: StartFailure | undefined): Happening {
  return happening(`${id}@${version} is ${failure ?? 'mended'}`, ({ failures }) => {
    if (failure === undefined) failures.delete(`${id}@${version}`);
    else failures.set(`${id}@${version}`, failure);
  });
}

function trust(id: string, isTrusted: boolean): Happening {
  return happening(`${id} is ${isTrusted ? '' : 'not '}trusted`, ({ untrusted }) => {
    if (isTrusted) untrusted.delete(id);
    else untrusted.add(id);
  });
}

function edit(id: string, version: string): Happening {
  const folder = folderOf(id, version);
  return happening(`${id}@${version} is changed`, ({ changes }) =>
    changes.set(folder, (changes.get(folder) ?? 0) + 1),
  );
}

const REQUEST_NAMES: readonly string[] = ['that is answered', 'that fails', 'that waits'];

function call(service: string, what: number, isStream: boolean): Happening {
  return happening(
    `${isStream ? 'stream' : 'call'} to ${service} ${REQUEST_NAMES[what]}`,
    (world) => void world.call(service, what, isStream),
  );
}

function finish(index: number, isWell: boolean): Happening {
  return happening(`waiting call ${index} ${isWell ? 'is answered' : 'fails'}`, ({ instances }) => {
    const running = instances.flatMap((instance) =>
      instance.runningCalls.map((each) => [instance, each] as const),
    );
    const [instance, found] = running[index] ?? [];
    if (found !== undefined) instance?.finish(found, isWell);
  });
}

function cancel(index: number): Happening {
  return happening(`caller ${index} leaves`, ({ calls: made }) =>
    made.filter(({ isDone }) => !isDone)[index]?.cancel(),
  );
}

/** Enough calls to tell a bad version from a good one. */
const BURST = 30;

function burst(service: string, what: number): Happening {
  return happening(`${BURST} calls to ${service} ${REQUEST_NAMES[what]}`, async (world) => {
    for (let count = 0; count < BURST; count += 1) {
      world.call(service, what, false);
      await Promise.resolve();
    }
  });
}

function gate(name: GateName, what: GateMove): Happening {
  return happening(`gate ${name}: ${what}`, (world) => world.gates[what](name));
}
