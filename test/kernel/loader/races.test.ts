import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { ANSWER, type FuzzInstance, WAIT } from '../../support/loader-fuzz/instance.ts';
import { folderOf, OTHER_VERSION, PLUGINS, writeFolders } from '../../support/loader-fuzz/plugins.ts';
import { inWorld } from '../../support/loader-fuzz/run.ts';
import { type LoaderWorld, ROLLBACK_WINDOW_MS, settle } from '../../support/loader-fuzz/world.ts';

const [PROVIDER = '', DEPENDANT = '', EXCLUSIVE = ''] = PLUGINS.map(({ id }) => id);
const SERVICE = 'fuzz.v1.Provider';

/** Asks for a version, given as `id@version`; the loader may be busy with another. */
function load(world: LoaderWorld, name: string, canaryPercent = 0): void {
  const [id = '', version = ''] = name.split('@');
  world.ask(`load ${name}`, () => world.loader.load(folderOf(id, version), { canaryPercent }));
}

function activeOf(world: LoaderWorld, id: string): FuzzInstance {
  return world.loader.record(id).active?.instance as FuzzInstance;
}

/** Found by test/property/loader.property.test.ts, which also looks at what is left in the end. */
describe('operations on plugins that meet', () => {
  let folder = '';
  before(() => {
    folder = writeFolders();
  });
  after(() => {
    rmSync(folder, { recursive: true });
  });

  it('load a plugin anew that was unloaded just before', () =>
    inWorld(1, async (world) => {
      load(world, `${PROVIDER}@1.0.0`);
      await settle();
      world.ask('unload', () => world.loader.unload(PROVIDER));
      load(world, `${PROVIDER}@2.0.0`);
      await settle();
      assert.equal(activeOf(world, PROVIDER).version, '2.0.0');
    }));

  it('refuse a plugin that requires one which is being unloaded, and take it when that one is back', () =>
    inWorld(1, async (world) => {
      load(world, `${PROVIDER}@1.0.0`);
      await settle();
      world.gates.close('stop');
      world.ask('unload', () => world.loader.unload(PROVIDER));
      await settle();
      const refused = world.loader.load(folderOf(DEPENDANT, '1.0.0'));
      await assert.rejects(refused, /no plugin provides\..*being unloaded does not count/);
      world.gates.open('stop');
      load(world, `${PROVIDER}@1.0.0`);
      await settle();
      load(world, `${DEPENDANT}@1.0.0`);
      await settle();
      assert.equal(world.loader.record(DEPENDANT).state, 'ACTIVE');
    }));

  it('load a new plugin once, however often that is asked for', () =>
    inWorld(1, async (world) => {
      world.gates.close('admit');
      load(world, `${PROVIDER}@1.0.0`);
      load(world, `${PROVIDER}@2.0.0`);
      await settle();
      world.gates.open('admit');
      await settle();
      assert.equal(activeOf(world, PROVIDER).version, '2.0.0');
      assert.equal(world.loader.records.length, 1);
    }));

  it('restart a plugin whose version before is on its way out already', () =>
    inWorld(1, async (world) => {
      load(world, `${PROVIDER}@1.0.0`);
      await settle();
      load(world, `${PROVIDER}@2.0.0`);
      await settle();
      world.gates.close('stop');
      await world.time.advance(ROLLBACK_WINDOW_MS, settle);
      activeOf(world, PROVIDER).crash(Promise.resolve());
      await settle();
      assert.equal(world.loader.record(PROVIDER).state, 'BACKOFF');
      await world.time.advance(1_000, settle);
      assert.equal(activeOf(world, PROVIDER).version, '2.0.0');
    }));

  it('keep a canary in service that was promoted while the version before it was restarted', () =>
    inWorld(1, async (world) => {
      load(world, `${PROVIDER}@1.0.0`);
      await settle();
      load(world, `${PROVIDER}@2.0.0`, 30);
      await settle();
      activeOf(world, PROVIDER).crash(Promise.resolve());
      world.gates.close('start');
      await settle();
      await world.time.advance(1_000, settle);
      world.loader.promote(PROVIDER);
      world.gates.open('start');
      await settle();
      assert.equal(activeOf(world, PROVIDER).version, '2.0.0');
    }));

  it('replace an exclusive plugin that crashes while its successor is looked at', () =>
    inWorld(1, async (world) => {
      load(world, `${EXCLUSIVE}@1.0.0`);
      await settle();
      world.gates.close('prepare');
      load(world, `${EXCLUSIVE}@2.0.0`);
      await settle();
      activeOf(world, EXCLUSIVE).crash(Promise.resolve());
      await settle();
      world.gates.open('prepare');
      await settle();
      assert.equal(activeOf(world, EXCLUSIVE).version, '2.0.0');
    }));

  it('refuse what would be started by a kernel that stops', () =>
    inWorld(1, async (world) => {
      world.gates.close('admit');
      load(world, `${PROVIDER}@1.0.0`);
      await settle();
      world.ask('stop', () => world.loader.stopAll());
      await settle();
      world.gates.open('admit');
      await settle();
      assert.match(String(world.operations[0]?.error), /KERNEL_STOPPING/);
      assert.deepEqual(world.instances, []);
      return { isStopping: true };
    }));

  it('do not call back a version that is ill itself', () =>
    inWorld(1, async (world) => {
      load(world, `${PROVIDER}@1.0.0`);
      await settle();
      const before = activeOf(world, PROVIDER);
      load(world, `${PROVIDER}@2.0.0`);
      await settle();
      before.load.vitals.set('health', 'it is ill');
      activeOf(world, PROVIDER).load.vitals.set('health', 'it is ill too');
      assert.equal(activeOf(world, PROVIDER).version, '2.0.0');
      assert.equal(world.loader.record(PROVIDER).state, 'DEGRADED');
    }));

  it('leave nothing in service of a plugin that goes into quarantine', () =>
    inWorld(1, async (world) => {
      load(world, `${PROVIDER}@1.0.0`);
      await settle();
      load(world, `${PROVIDER}@2.0.0`, 30);
      await settle();
      world.untrusted.add(PROVIDER);
      activeOf(world, PROVIDER).crash(Promise.resolve());
      await settle();
      await world.time.advance(1_000, settle);
      const { state, canary } = world.loader.record(PROVIDER);
      assert.deepEqual([state, canary], ['QUARANTINED', undefined]);
    }));

  it('turn a plugin DEGRADED that was loaded while the service it needs went away', () =>
    inWorld(1, async (world) => {
      load(world, `${PROVIDER}@1.0.0`);
      await settle();
      world.gates.close('start');
      load(world, `${PROVIDER}@${OTHER_VERSION}`);
      await settle();
      load(world, `${DEPENDANT}@1.0.0`);
      await settle();
      world.gates.open('start');
      await settle();
      assert.equal(world.loader.record(DEPENDANT).state, 'DEGRADED');
    }));

  it('give no call to an instance that has been told to stop, though the call waited for its turn there', () =>
    inWorld(1, async (world) => {
      load(world, `${PROVIDER}@1.0.0`);
      await settle();
      const first = world.call(SERVICE, WAIT, false);
      world.call(SERVICE, WAIT, false);
      const last = world.call(SERVICE, ANSWER, true);
      world.ask('unload', () => world.loader.unload(PROVIDER));
      await settle();
      first.cancel();
      // Its place is free, and in the same moment the time of all is over.
      await world.time.advance(ROLLBACK_WINDOW_MS, settle);
      assert.match(String(last.error), /PLUGIN_REPLACED/);
    }));
});
