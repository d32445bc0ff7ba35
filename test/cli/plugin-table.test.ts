import assert from 'node:assert/strict';
import { create } from '@bufbuild/protobuf';
import { pluginRow, pluginTable } from '../../kernel/cli/plugin-table.ts';
import { IsolationLevel } from '../../proto/gen/lamella/kernel/v1/manifest_pb.ts';
import {
  InstanceSchema,
  PluginSchema,
  PluginState,
} from '../../proto/gen/lamella/kernel/v1/plugin_service_pb.ts';

const store = create(PluginSchema, {
  id: 'data.store',
  version: '0.1.0',
  state: PluginState.BACKOFF,
  reason: 'Exited with code 1; the next start is in 500 ms.',
  isolation: IsolationLevel.PROCESS,
  provides: [
    { service: 'lamella.data.v1.StoreService' },
    { service: 'lamella.data.v1.StoreDriverService', extension: 'lmdb' },
  ],
  sourceDirectory: '/plugins/data/store',
  restarts: 3,
});

describe('plugins on the command line', () => {
  it('become rows with names instead of numbers', () => {
    assert.deepEqual(pluginRow(store), {
      id: 'data.store',
      version: '0.1.0',
      state: 'BACKOFF',
      isolation: 'PROCESS',
      services: ['lamella.data.v1.StoreService', 'lamella.data.v1.StoreDriverService (lmdb)'],
      calls: 0,
      restarts: 3,
      pid: null,
      directory: '/plugins/data/store',
      reason: 'Exited with code 1; the next start is in 500 ms.',
      instances: [],
    });
  });

  it('show which versions share the calls', () => {
    const instances = [
      create(InstanceSchema, { number: 2n, version: '0.2.0', state: PluginState.ACTIVE, weight: 10 }),
      create(InstanceSchema, { number: 1n, version: '0.1.0', state: PluginState.ACTIVE, weight: 90, pid: 7 }),
    ];
    assert.match(pluginTable([{ ...store, instances }]), /0\.1\.0 90%, 0\.2\.0 10% +BACKOFF/);
    assert.deepEqual(pluginRow({ ...store, instances }).instances[1], {
      number: 1,
      version: '0.1.0',
      state: 'ACTIVE',
      weight: 90,
      calls: 0,
      pid: 7,
    });
  });

  it('become a table with the reasons below it', () => {
    const lines = pluginTable([store]).split('\n');
    assert.match(lines[0] ?? '', /id +version +state +isolation +calls +restarts/);
    assert.match(lines[1] ?? '', /data\.store +0\.1\.0 +BACKOFF +PROCESS +0 +3/);
    assert.equal(lines[2], 'data.store: Exited with code 1; the next start is in 500 ms.');
  });

  it('say what to do when there are none', () => {
    assert.match(pluginTable([]), /'lamella plugin load DIR'/);
  });

  it('show a state that this version does not know by its number', () => {
    assert.equal(pluginRow({ ...store, state: 99 as PluginState }).state, '99');
  });
});
