import assert from 'node:assert/strict';
import { remainsOf, unrestOf, violationsOf } from './invariants.ts';
import { LoaderWorld, ROLLBACK_WINDOW_MS, settle } from './world.ts';

/** Runs something in a world of its own, lets all end that it began, stops the loader, and looks at what is left. */
export async function inWorld(
  seed: number,
  work: (world: LoaderWorld) => Promise<{ readonly isStopping: boolean } | void>,
): Promise<void> {
  const world = new LoaderWorld(seed);
  const onRejection = (reason: unknown): void =>
    void world.violations.push(`nobody handled: ${String(reason)}`);
  world.time.install();
  process.on('unhandledRejection', onRejection);
  try {
    const { isStopping } = (await work(world)) ?? { isStopping: false };
    await conclude(world, isStopping);
  } finally {
    process.off('unhandledRejection', onRejection);
    world.time.uninstall();
  }
}

/** Lets everything that was begun come to its end. */
async function rest(world: LoaderWorld): Promise<void> {
  world.gates.openAll();
  // What runs elsewhere is tried for ever.
  for (const [version, failure] of world.failures) {
    if (failure === 'unreachable') world.failures.delete(version);
  }
  await settle();
  // A call may wait for the restart of what shall answer it.
  for (let round = 0; round < 3; round += 1) {
    for (const instance of world.instances) {
      for (const call of instance.runningCalls) instance.finish(call, true);
    }
    await settle();
    await world.time.advance(ROLLBACK_WINDOW_MS, settle);
  }
}

async function conclude(world: LoaderWorld, isStopping: boolean): Promise<void> {
  await rest(world);
  if (!isStopping) {
    assert.deepEqual([...violationsOf(world), ...unrestOf(world)], []);
    world.ask('the last stop', () => world.loader.stopAll());
  }
  await settle();
  assert.deepEqual([...violationsOf(world), ...remainsOf(world)], []);
}
