import assert from 'node:assert/strict';
import { DataType } from 'lamella/proto/lamella/data/v1/dataset';
import { distributionOf } from '../../../../plugins/serving/monitor/drift/distribution.ts';
import { DriftWindow } from '../../../../plugins/serving/monitor/drift/drift-window.ts';
import { featuresOf } from '../../../../plugins/serving/monitor/drift/feature.ts';

const numbers = (count: number, value: (index: number) => number): Float64Array =>
  Float64Array.from({ length: count }, (_, index) => value(index));

/**
 * What numpy 2 and scipy 1 say of the same values, from this program:
 *
 *     edges = numpy.unique(numpy.quantile(r, numpy.arange(1, 10) / 10, method='inverted_cdf'))
 *     bins = lambda v: numpy.bincount(numpy.searchsorted(edges, v), minlength=len(edges) + 1) / len(v)
 *     was, now = (numpy.maximum(bins(v), 1e-4) for v in (r, c))
 *     print(numpy.sum((now - was) * numpy.log(now / was)), scipy.stats.ks_2samp(r, c).statistic)
 */
const CASES: Readonly<Record<string, readonly [Float64Array, Float64Array, number, number]>> = {
  'the same shares': [
    numbers(1_000, (i) => ((i * 7_919) % 1_000) / 10),
    numbers(500, (i) => ((i * 104_729) % 1_000) / 10),
    0.00032004267690959097,
    0.005,
  ],
  'values that have moved': [
    numbers(1_000, (i) => ((i * 7_919) % 1_000) / 10),
    numbers(300, (i) => ((i * 104_729) % 1_000) / 10 + 15),
    0.8571987426783974,
    0.15433333333333332,
  ],
  'values that spread': [
    numbers(1_000, (i) => ((i * 7_919) % 1_000) / 10),
    numbers(300, (i) => ((i * 104_729) % 1_000) / 4 - 75),
    1.0441999696849318,
    0.30033333333333334,
  ],
  'few different values': [
    numbers(1_000, (i) => (i * 7_919) % 7),
    numbers(200, (i) => ((i * 104_729) % 5) + 1),
    2.1728120366985864,
    0.143,
  ],
  'one value': [numbers(1_000, () => 3), numbers(50, () => 4), 18.41883867587797, 1],
};

describe('the distance of two distributions', () => {
  for (const [what, [reference, current, stabilityIndex, distance]] of Object.entries(CASES)) {
    it(`is that of numpy and scipy for ${what}`, () => {
      const got = distributionOf(reference)?.distanceTo(current);
      assert.ok(got !== undefined);
      assert.ok(Math.abs(got.stabilityIndex - stabilityIndex) < 1e-9, String(got.stabilityIndex));
      assert.ok(Math.abs(got.distance - distance) < 1e-12, String(got.distance));
    });
  }

  it('compares texts by the shares of the most frequent ones', () => {
    const reference = distributionOf(['a', 'a', 'b', undefined, 'b']);
    assert.deepEqual(reference?.distanceTo(['b', 'a']), { stabilityIndex: 0, distance: 0 });
    const expected = 2 * (0.5 - 0.0001) * Math.log(0.5 / 0.0001);
    const got = reference?.distanceTo(['c', 'b', 'b', 'c']);
    assert.ok(Math.abs((got?.stabilityIndex ?? 0) - expected) < 1e-9, String(got?.stabilityIndex));
  });

  it('passes over what is missing', () => {
    const reference = distributionOf(Float64Array.of(1, 2, Number.NaN, 3, 4));
    assert.deepEqual(reference?.distanceTo(Float64Array.of(4, Number.NaN, 3, 2, 1)), {
      stabilityIndex: 0,
      distance: 0,
    });
    assert.deepEqual(reference?.distanceTo(Float64Array.of(Number.NaN)), { stabilityIndex: 1, distance: 1 });
    assert.equal(distributionOf(Float64Array.of(Number.NaN)), undefined);
    assert.equal(distributionOf([undefined]), undefined);
  });
});

describe('the features of a column', () => {
  const column = { name: 'input.x', type: DataType.FLOAT32, shape: [] };

  it('are its values, its elements, or the mean and deviation of many of them', () => {
    const values = Float32Array.of(1, 2, 3, 5);
    assert.deepEqual(
      featuresOf({ ...column, values }, 4),
      new Map([['input.x', Float64Array.of(1, 2, 3, 5)]]),
    );
    const valid = Uint8Array.of(1, 0);
    assert.deepEqual(
      featuresOf({ ...column, shape: [2], values, valid }, 2),
      new Map([
        ['input.x[0]', Float64Array.of(1, Number.NaN)],
        ['input.x[1]', Float64Array.of(2, Number.NaN)],
      ]),
    );
    const image = Uint8Array.from({ length: 20 }, (_, index) => (index < 10 ? 0 : 10));
    assert.deepEqual(
      featuresOf({ ...column, type: DataType.UINT8, shape: [4, 5], values: image }, 1),
      new Map([
        ['input.x.mean', Float64Array.of(5)],
        ['input.x.deviation', Float64Array.of(5)],
      ]),
    );
    const texts = { ...column, type: DataType.STRING, values: ['a', ''], valid: Uint8Array.of(1, 0) };
    assert.deepEqual(featuresOf(texts, 2), new Map([['input.x', ['a', undefined]]]));
  });
});

describe('the window of drift', () => {
  it('keeps the newest rows, and tells those that are not too old', () => {
    const window = new DriftWindow(3);
    window.add(2, new Map([['x', Float64Array.of(1, 2)]]), 1_000);
    window.add(2, new Map([['x', Float64Array.of(3, 4)]]), 2_000);
    assert.deepEqual(window.features, ['x']);
    assert.equal(window.rows(0), 3);
    assert.deepEqual((window.values('x', 0) as Float64Array).toSorted(), Float64Array.of(2, 3, 4));
    assert.deepEqual((window.values('x', 1_500) as Float64Array).toSorted(), Float64Array.of(3, 4));
    // A row without the feature does not show the value of the row that was there before.
    window.add(1, new Map([['y', ['a']]]), 3_000);
    assert.deepEqual([...window.values('x', 2_500)], [Number.NaN]);
    assert.deepEqual(window.values('y', 2_500), ['a']);
  });
});
