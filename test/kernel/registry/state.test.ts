import assert from 'node:assert/strict';
import {
  PLUGIN_EVENTS,
  type PluginEvent,
  type PluginState,
  transition,
} from '../../../kernel/registry/state.ts';
import { DeclaredError } from '../../../sdk/index.ts';

function walk(...events: readonly PluginEvent[]): PluginState {
  return events.reduce<PluginState>((state, event) => transition(state, event), 'DISCOVERED');
}

describe('transition', () => {
  it('leads from discovery to service and to the end', () => {
    const states: PluginState[] = [];
    let state: PluginState = 'DISCOVERED';
    for (const event of [
      'verify',
      'resolve',
      'start',
      'ready',
      'activate',
      'drain',
      'stop',
      'remove',
    ] as const) {
      state = transition(state, event);
      states.push(state);
    }
    assert.deepEqual(states, [
      'VERIFIED',
      'RESOLVED',
      'STARTING',
      'STANDBY',
      'ACTIVE',
      'DRAINING',
      'STOPPED',
      'REMOVED',
    ]);
  });

  it('keeps a plugin in service while a reload replaces its instance', () => {
    assert.equal(walk('verify', 'resolve', 'start', 'activate', 'activate'), 'ACTIVE');
  });

  it('starts a crashed plugin again until it is given up', () => {
    const running = ['verify', 'resolve', 'start', 'activate'] as const;
    assert.equal(walk(...running, 'crash'), 'BACKOFF');
    assert.equal(walk(...running, 'crash', 'start', 'activate'), 'ACTIVE');
    assert.equal(walk(...running, 'crash', 'start', 'fail', 'crash', 'start', 'activate'), 'ACTIVE');
    assert.equal(walk(...running, 'give-up'), 'FAILED');
  });

  it('lets people start a failed plugin again', () => {
    assert.equal(walk('verify', 'resolve', 'start', 'fail', 'start', 'activate'), 'ACTIVE');
  });

  it('degrades and recovers', () => {
    assert.equal(walk('verify', 'resolve', 'start', 'activate', 'degrade', 'activate'), 'ACTIVE');
  });

  it('never runs what has a bad signature', () => {
    assert.equal(walk('quarantine'), 'QUARANTINED');
    assert.equal(walk('quarantine', 'stop'), 'QUARANTINED');
    for (const event of ['start', 'ready', 'activate'] as const) {
      assert.throws(() => transition('QUARANTINED', event));
    }
  });

  it('knows no way out of REMOVED', () => {
    for (const event of PLUGIN_EVENTS) assert.throws(() => transition('REMOVED', event));
  });

  it('names state and event of an illegal step', () => {
    assert.throws(
      () => transition('DISCOVERED', 'drain'),
      (error: unknown) => {
        assert.ok(error instanceof DeclaredError);
        assert.equal(error.reason, 'ILLEGAL_TRANSITION');
        assert.deepEqual(error.metadata, { state: 'DISCOVERED', event: 'drain' });
        return true;
      },
    );
  });
});
