import { Home, type HomeState } from './home-state.ts';

/**
 * Changes a home folder until it is killed: `node change-home.js HOME SEED FOLDER...`. Before each change it prints the
 * state before and the one that will be after it, and a line when the change was acknowledged.
 */
const [, , directory = '', seed = '1', ...folders] = process.argv;
let random = Number(seed);

/** Numbers that the seed decides (Park and Miller). */
function pick(count: number): number {
  random = (random * 48_271) % 2_147_483_647;
  return random % count;
}

interface Change {
  readonly after: Partial<HomeState>;
  readonly run: () => Promise<void>;
}

function changes(home: Home, state: HomeState): Change[] {
  const { keys, loaded, installed, lastEvent } = state;
  const name = `key-${pick(4)}`;
  const id = `test.p${pick(4)}`;
  const version = pick(folders.length);
  const without = (list: readonly string[], value: string): string[] => list.filter((one) => one !== value);
  const [present = '', before] = installed;
  const all: (Change | undefined)[] = [
    keys.includes(name)
      ? { after: { keys: without(keys, name) }, run: () => home.keys.revoke(name) }
      : { after: { keys: [...keys, name].toSorted() }, run: () => home.addKey(name) },
    loaded.includes(id)
      ? { after: { loaded: without(loaded, id) }, run: () => home.memory.forget(id) }
      : { after: { loaded: [...loaded, id].toSorted() }, run: () => home.load(id) },
    { after: { lastEvent: lastEvent + 1 }, run: () => home.publish(lastEvent + 1) },
    {
      after: { installed: [`${version}.0.0`, ...without(installed, `${version}.0.0`)] },
      run: () => home.install(folders[version] ?? ''),
    },
    before === undefined
      ? undefined
      : {
          after: { installed: [before, present, ...installed.slice(2)] },
          run: () => home.rollBack(),
        },
    installed.length === 0 ? undefined : { after: { installed: [] }, run: () => home.remove() },
  ];
  return all.filter((change) => change !== undefined);
}

const home = await Home.open(directory);
let state = await home.state();
for (;;) {
  const possible = changes(home, state);
  const change = possible[pick(possible.length)];
  if (change === undefined) continue;
  const after = { ...state, ...change.after };
  process.stdout.write(`${JSON.stringify({ before: state, after })}\n`);
  await change.run();
  process.stdout.write('done\n');
  state = after;
}
