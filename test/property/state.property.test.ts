import assert from 'node:assert/strict';
import fc from 'fast-check';
import { backoffMs, isGivenUp } from '../../kernel/registry/backoff.ts';
import {
  PLUGIN_EVENTS,
  PLUGIN_STATES,
  type PluginEvent,
  type PluginState,
  transition,
} from '../../kernel/registry/state.ts';
import { FUZZ_TIMEOUT_MS } from '../support/fuzz-runs.ts';

function attempt(state: PluginState, event: PluginEvent): PluginState | undefined {
  try {
    return transition(state, event);
  } catch {
    return undefined;
  }
}

const events = fc.array(fc.constantFrom(...PLUGIN_EVENTS), { maxLength: 60 });

describe('transition, for any sequence of events', function () {
  this.timeout(FUZZ_TIMEOUT_MS);
  it('never leaves the table, and never leaves REMOVED', () => {
    fc.assert(
      fc.property(events, (sequence) => {
        let state: PluginState = 'DISCOVERED';
        for (const event of sequence) {
          const next = attempt(state, event);
          if (state === 'REMOVED') assert.equal(next, undefined);
          state = next ?? state;
          assert.ok(PLUGIN_STATES.includes(state));
        }
      }),
    );
  });

  it('goes into service only through a start, and only after manifest and dependencies were checked', () => {
    fc.assert(
      fc.property(events, (sequence) => {
        const passed = new Set<PluginState>();
        let state: PluginState = 'DISCOVERED';
        for (const event of sequence) {
          passed.add(state);
          state = attempt(state, event) ?? state;
          if (state === 'ACTIVE') assert.ok(passed.has('VERIFIED') || passed.has('FAILED'));
        }
      }),
    );
  });

  it('can be removed from wherever it is', () => {
    const escapes = new Map<PluginState, PluginEvent[]>([['REMOVED', []]]);
    for (let round = 0; round < PLUGIN_STATES.length; round += 1) {
      for (const state of PLUGIN_STATES) {
        for (const event of PLUGIN_EVENTS) {
          const next = attempt(state, event);
          const rest = next === undefined ? undefined : escapes.get(next);
          if (rest !== undefined && !escapes.has(state)) escapes.set(state, [event, ...rest]);
        }
      }
    }
    assert.deepEqual([...escapes.keys()].sort(), [...PLUGIN_STATES].sort());
  });
});

const crashes = fc
  .array(fc.nat(120_000), { minLength: 1, maxLength: 40 })
  .map((gaps) => gaps.map((_, index) => gaps.slice(0, index + 1).reduce((sum, gap) => sum + gap, 0)));
const chance = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

describe('backoffMs and isGivenUp, for any history of crashes', function () {
  this.timeout(FUZZ_TIMEOUT_MS);
  it('pauses between 200 ms and 30 s', () => {
    fc.assert(
      fc.property(crashes, chance, (history, random) => {
        const pauseMs = backoffMs(history, history.at(-1) ?? 0, () => random);
        assert.ok(pauseMs >= 200 && pauseMs <= 30_000, `${pauseMs} ms`);
      }),
    );
  });

  it('never pauses less because of one crash more in a row', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 200 }), (count) => {
        const history = Array.from({ length: count + 1 }, (_, index) => index);
        const before = backoffMs(history.slice(0, count), count - 1, () => 0);
        assert.ok(backoffMs(history, count, () => 0) >= before);
      }),
    );
  });

  it('gives up exactly when the fifth crash from the end is not older than five minutes', () => {
    fc.assert(
      fc.property(crashes, (history) => {
        const nowMs = history.at(-1) ?? 0;
        const fifth = history.at(-5);
        assert.equal(isGivenUp(history, nowMs), fifth !== undefined && nowMs - fifth <= 300_000);
      }),
    );
  });
});
