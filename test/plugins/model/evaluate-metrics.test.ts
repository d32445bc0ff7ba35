import assert from 'node:assert/strict';
import { Disturbance } from 'lamella/proto/lamella/model/v1/evaluate_service';
import { disturb } from '../../../plugins/model/evaluate/disturbance.ts';
import { ClassificationMetrics } from '../../../plugins/model/evaluate/metrics.ts';

describe('classification metrics', () => {
  it('agree with scikit-learn on a worked example', () => {
    const metrics = new ClassificationMetrics(3);
    const examples: readonly (readonly [number, readonly number[]])[] = [
      [0, [0.7, 0.2, 0.1]],
      [1, [0.6, 0.3, 0.1]],
      [1, [0.1, 0.8, 0.1]],
      [2, [0.2, 0.2, 0.6]],
      [2, [0.1, 0.5, 0.4]],
    ];
    for (const [label, probabilities] of examples) metrics.add(label, Float32Array.from(probabilities));
    const summary = metrics.summary();
    assert.equal(summary.accuracy, 0.6);
    assert.deepEqual(
      summary.confusionMatrix?.map(({ predicted }) => predicted),
      [
        [1n, 0n, 0n],
        [1n, 1n, 0n],
        [0n, 1n, 1n],
      ],
    );
    assert.deepEqual(
      summary.perClass?.map(({ precision, recall }) => [precision, recall]),
      [
        [0.5, 1],
        [0.5, 0.5],
        [1, 0.5],
      ],
    );
    // -(ln .7 + ln .3 + ln .8 + ln .6 + ln .4) / 5
    assert.ok(Math.abs((summary.logLoss ?? 0) - 0.6421817) < 1e-6);
    // Confidences .7 right, .6 wrong, .8 right, .6 right, .5 wrong; both .6 share a bin.
    assert.ok(Math.abs((summary.calibrationError ?? 0) - (0.3 + 0.2 + 0.2 + 0.5) / 5) < 1e-6);
  });

  it('stay finite for a probability of 0, for no rows and for classes that do not occur', () => {
    const metrics = new ClassificationMetrics(2);
    assert.equal(metrics.summary().accuracy, 0);
    metrics.add(0, Float32Array.of(0, 1));
    const summary = metrics.summary();
    assert.ok(Number.isFinite(summary.logLoss));
    assert.equal(summary.calibrationError, 1);
    assert.deepEqual(
      summary.perClass?.map(({ f1 }) => f1),
      [0, 0],
    );
  });
});

describe('disturbances', () => {
  it('stay inside the range of the data and leave the original alone', () => {
    const values = Uint8Array.of(0, 255, 0, 255);
    const batch = { values, width: 4, labels: [0], slices: [undefined] };
    const shape = [2, 2];
    const range = { minimum: 0, maximum: 255 };
    const blurred = disturb(batch, { kind: Disturbance.BLUR, strength: 1, seed: 0, shape, range });
    assert.deepEqual([...blurred.values], [128, 128, 128, 128]);
    const faded = disturb(batch, { kind: Disturbance.CONTRAST, strength: 0.5, seed: 0, shape, range });
    assert.deepEqual([...faded.values], [64, 191, 64, 191]);
    assert.deepEqual([...values], [0, 255, 0, 255]);
  });
});
