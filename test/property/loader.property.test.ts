import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import fc from 'fast-check';
import { FUZZ_TIMEOUT_MS, fuzzRuns } from '../support/fuzz-runs.ts';
import { anything, commandOf, type WorldModel } from '../support/loader-fuzz/commands.ts';
import { violationsOf } from '../support/loader-fuzz/invariants.ts';
import { folderOf, type FuzzPlugin, PLUGINS, writeFolders } from '../support/loader-fuzz/plugins.ts';
import { inWorld } from '../support/loader-fuzz/run.ts';
import type { LoaderWorld } from '../support/loader-fuzz/world.ts';

function check(world: LoaderWorld): void {
  assert.deepEqual(violationsOf(world), []);
}

type Commands = Iterable<fc.AsyncCommand<WorldModel, LoaderWorld>>;

/** Some wait until all that they caused has happened, others do not. */
function commands(plugins: readonly FuzzPlugin[]): fc.Arbitrary<Commands> {
  const one = fc
    .tuple(anything(plugins), fc.boolean())
    .map(([happening, isSettled]) => commandOf(happening, isSettled, check));
  return fc.commands([one], { maxCommands: 40, size: 'max' });
}

/** Few plugins at a time, so that much happens to each. */
const SETS: readonly (readonly FuzzPlugin[])[] = [
  ...PLUGINS.map((plugin) => [plugin]),
  PLUGINS.slice(0, 2),
  PLUGINS,
];

describe('Loader, for any sequence of operations, accidents and calls', function () {
  this.timeout(FUZZ_TIMEOUT_MS);
  let folder = '';
  before(() => {
    folder = writeFolders();
  });
  after(() => {
    rmSync(folder, { recursive: true });
  });

  for (const plugins of SETS) {
    const names = plugins.map(({ id }) => id);
    it(`loses and forgets nothing of ${names.join(', ')}`, async () => {
      await fc.assert(fc.asyncProperty(fc.subarray(names), commands(plugins), fc.nat(), run), {
        numRuns: fuzzRuns(30),
      });
    });
  }
});

async function run(loaded: readonly string[], sequence: Commands, seed: number): Promise<void> {
  await inWorld(seed, async (world) => {
    const folders = loaded.map((id) => ({ directory: folderOf(id, '1.0.0') }));
    world.ask('start', () => world.loader.loadAll(folders));
    const model = { isStopping: false };
    await fc.asyncModelRun(() => ({ model, real: world }), sequence);
    return model;
  });
}
