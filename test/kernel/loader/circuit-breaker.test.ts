import assert from 'node:assert/strict';
import fc from 'fast-check';
import { CircuitBreaker } from '../../../kernel/loader/circuit-breaker.ts';

const LIMITS = { faultRatio: 0.5, minimumCalls: 4, windowMs: 1_000, openMs: 500 };

function breaker(): { circuit: CircuitBreaker; advance: (ms: number) => void; changes: boolean[] } {
  let nowMs = 0;
  const changes: boolean[] = [];
  const circuit = new CircuitBreaker(
    LIMITS,
    (isOpen) => changes.push(isOpen),
    () => nowMs,
  );
  const advance = (ms: number): void => {
    nowMs += ms;
  };
  return { circuit, advance, changes };
}

describe('a circuit breaker', () => {
  it('lets calls through while fewer than the minimum have failed', () => {
    const { circuit, changes } = breaker();
    for (let call = 0; call < 3; call += 1) circuit.leave(true);
    assert.equal(circuit.enter(), 0);
    assert.deepEqual(changes, []);
  });

  it('opens at the ratio, says how long, lets one call see, and closes when that goes well', () => {
    const { circuit, advance, changes } = breaker();
    for (const isFault of [false, false, true, true]) circuit.leave(isFault);
    assert.equal(circuit.enter(), 500);
    advance(200);
    assert.equal(circuit.enter(), 300);
    advance(300);
    assert.equal(circuit.enter(), 0);
    assert.ok(circuit.enter() > 0, 'a second call went through beside the one that sees');
    circuit.leave(false);
    assert.equal(circuit.enter(), 0);
    assert.deepEqual(changes, [true, false]);
  });

  it('stays open when the call that sees fails', () => {
    const { circuit, advance } = breaker();
    for (let call = 0; call < 4; call += 1) circuit.leave(true);
    advance(500);
    assert.equal(circuit.enter(), 0);
    circuit.leave(true);
    assert.equal(circuit.enter(), 500);
  });

  it('forgets what is older than its window', () => {
    const { circuit, advance } = breaker();
    for (let call = 0; call < 3; call += 1) circuit.leave(true);
    advance(1_001);
    for (const isFault of [false, false, true]) circuit.leave(isFault);
    assert.equal(circuit.enter(), 0);
  });

  it('never opens without faults, and always lets a call through after its pause', () => {
    const step = fc.oneof(
      fc.record({ waitMs: fc.integer({ min: 0, max: 800 }) }),
      fc.record({ isFault: fc.boolean() }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const { circuit, advance, changes } = breaker();
        let faults = 0;
        for (const each of steps) {
          if ('waitMs' in each) advance(each.waitMs);
          else if (circuit.enter() === 0) {
            faults += each.isFault ? 1 : 0;
            circuit.leave(each.isFault);
          }
        }
        assert.ok(faults >= 2 || changes.length === 0);
        advance(LIMITS.openMs);
        assert.equal(circuit.enter(), 0);
      }),
    );
  });
});
