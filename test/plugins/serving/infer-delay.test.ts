import assert from 'node:assert/strict';
import { Code } from 'lamella/sdk';
import type { OrtTensors } from 'lamella/sdk/ort';
import { Batcher } from '../../../plugins/serving/infer/batcher.ts';
import { DelayGain } from '../../../plugins/serving/infer/delay-gain.ts';
import { plainQueue, type QueuePolicies } from '../../../plugins/serving/infer/queue-policy.ts';
import { FakeTime } from '../../support/fake-time.ts';
import { InferSubject, rejection } from './infer-subject.ts';

/** Runs of 1 to 4 rows that take a fixed part and a part for each row. */
function learn(gain: DelayGain, fixedMs: number, msPerRow: number): void {
  for (let run = 0; run < 20; run += 1) {
    const rows = 1 + (run % 4);
    gain.ran(rows, fixedMs + msPerRow * rows, 0);
  }
}

describe('the measured delay of serving.infer', function () {
  this.timeout(60_000);

  it('waits where others are missing that come closer together than a run costs at least', () => {
    const gain = new DelayGain();
    learn(gain, 20, 1);
    for (let caller = 1; caller <= 4; caller += 1) gain.arrived(caller, caller);
    const untilMs = gain.untilMs(2);
    assert.ok(Math.abs(untilMs - (4 + 20)) < 0.001, String(untilMs));
    assert.equal(gain.untilMs(4), -Infinity);
  });

  it('does not wait for a model whose time grows with its rows', () => {
    const gain = new DelayGain();
    learn(gain, 0, 10);
    for (let caller = 1; caller <= 4; caller += 1) gain.arrived(caller, caller);
    assert.equal(gain.untilMs(2), -Infinity);
  });

  it('does not wait while nothing was measured, nor where requests come too rarely', () => {
    const gain = new DelayGain();
    assert.equal(gain.untilMs(1), -Infinity);
    learn(gain, 20, 1);
    for (let caller = 1; caller <= 4; caller += 1) gain.arrived(caller * 1_000, caller);
    assert.equal(gain.untilMs(2), -Infinity);
  });

  it('forgets callers that have left after a run', () => {
    const gain = new DelayGain();
    learn(gain, 20, 1);
    for (let caller = 1; caller <= 4; caller += 1) gain.arrived(caller, caller);
    gain.ran(4, 24, 30);
    assert.equal(gain.untilMs(3), -Infinity);
    assert.ok(Math.abs(gain.untilMs(2) - (30 + 20)) < 0.5);
  });

  it('never waits for a caller who is alone', () => {
    const gain = new DelayGain();
    learn(gain, 20, 1);
    // It comes again as soon as it has its answer.
    for (let nowMs = 0; nowMs < 1_000; nowMs += 21) {
      gain.arrived(nowMs, 1);
      assert.equal(gain.untilMs(1), -Infinity);
      gain.ran(1, 21, nowMs + 21);
    }
  });

  /** Rows of the runs, of 20 ms each, of six callers, each of whom asks again 1 to 4 ms after it has its answer. */
  const runsOf = async (change: Partial<QueuePolicies>): Promise<readonly number[]> => {
    const time = new FakeTime(7);
    time.install();
    try {
      const runs: number[] = [];
      const run = async (tensors: OrtTensors): Promise<OrtTensors> => {
        runs.push(tensors['x']?.dims[0] ?? 0);
        await new Promise((resolve) => setTimeout(resolve, 20));
        return tensors;
      };
      const policies = { ...plainQueue(100), ...change };
      const limits = { slots: 1, batchable: true, maxBatchRows: 8 };
      const batcher = new Batcher({ model: 'm', policies, ...limits, run, onRun: () => undefined });
      const caller = async (): Promise<void> => {
        for (let request = 0; request < 20; request += 1) {
          await new Promise((resolve) => setTimeout(resolve, 1 + Math.random() * 3));
          const x = { type: 'float32' as const, dims: [1, 1], data: Float32Array.of(request) };
          const cancelError = (): Error => new Error('nobody cancels');
          await batcher.submit({ tensors: { x }, rows: 1, key: '', cancelError });
        }
      };
      let isDone = false;
      void Promise.all(Array.from({ length: 6 }, caller)).then(() => (isDone = true));
      while (!isDone) await time.advance(1, () => new Promise((resolve) => setImmediate(resolve)));
      return runs;
    } finally {
      time.uninstall();
    }
  };

  it('answers callers together that would go in turns without it', async () => {
    const inTurns = await runsOf({});
    const together = await runsOf({ maxDelayMs: 40, isDelayMeasured: true });
    assert.equal(
      together.reduce((sum, rows) => sum + rows, 0),
      120,
    );
    assert.ok(inTurns.length >= 38, `${inTurns.length} runs: ${inTurns.join(' ')}`);
    assert.ok(together.length <= 26, `${together.length} runs: ${together.join(' ')}`);
  });

  it('does not hold up a batch that is full by its cost', async () => {
    const runs: number[] = [];
    const batcher = new Batcher({
      model: 'm',
      slots: 1,
      policies: { ...plainQueue(100), maxDelayMs: 3_600_000 },
      batchable: true,
      maxBatchRows: 8,
      maxBatchCost: 10,
      run: (tensors) => {
        runs.push(tensors['x']?.dims[0] ?? 0);
        return Promise.resolve(tensors);
      },
      onRun: () => undefined,
    });
    const submit = (cost: number): Promise<unknown> => {
      const x = { type: 'float32' as const, dims: [1, 1], data: Float32Array.of(cost) };
      const cancelError = (): Error => new Error('nobody cancels');
      return batcher.submit({ tensors: { x }, rows: 1, cost, key: '', cancelError });
    };
    await Promise.all([submit(6), submit(4), submit(9), submit(1)]);
    assert.deepEqual(runs, [2, 2]);
  });

  for (const [what, value, delay] of [
    ['neither true nor false', 'yes', 1],
    ['set without a longest delay', 'true', 0],
  ] as const) {
    it(`is refused where it is ${what}`, async () => {
      const subject = new InferSubject();
      const config = JSON.stringify({
        max_batch_size: 4,
        dynamic_batching: { max_queue_delay_microseconds: delay },
        parameters: { measured_queue_delay: { string_value: value } },
      });
      const { code, message } = await rejection(() => subject.loadWith('add', { config }));
      assert.equal(code, Code.FAILED_PRECONDITION);
      assert.match(message, /parameter 'measured_queue_delay' must be true or false/);
      await subject.repository.close();
    });
  }
});
