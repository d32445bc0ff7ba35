import assert from 'node:assert/strict';
import { create } from '@bufbuild/protobuf';
import {
  FixedSizeList,
  Field,
  makeData,
  RecordBatch,
  Schema,
  Struct,
  Table,
  tableToIPC,
  Uint8,
  vectorFromArray,
  Int32,
  Utf8,
} from 'apache-arrow';
import type { StoreService } from 'lamella/proto/lamella/data/v1/store_service';
import {
  Disturbance,
  EvaluateRequestSchema,
  EvaluateRobustnessRequestSchema,
} from 'lamella/proto/lamella/model/v1/evaluate_service';
import type { RegistryService } from 'lamella/proto/lamella/model/v1/registry_service';
import { type CallContext, type Client, isDeclaredError, isHoldout } from 'lamella/sdk';
import {
  chainModels,
  classifierHead,
  ElementType,
  encodeModel,
  finishModel,
  floatTensor,
  GraphBuilder,
  intAttribute,
} from 'lamella/sdk/onnx';
import { disturb } from '../../../plugins/model/evaluate/disturbance.ts';
import { Evaluator } from '../../../plugins/model/evaluate/evaluator.ts';
import { ClassificationMetrics } from '../../../plugins/model/evaluate/metrics.ts';

const context = { signal: new AbortController().signal } as CallContext;

/** A model of 2x1 images whose class scores are the two pixels: the brighter pixel is the class. */
function brighterPixel(): Uint8Array {
  const builder = new GraphBuilder();
  const image = builder.input('image', { type: ElementType.UINT8, shape: ['N', 2, 1] });
  const float = builder.apply('Cast', [image], { to: intAttribute(ElementType.FLOAT) });
  const flat = builder.apply('Reshape', [float, builder.integers([0, 2])]);
  const scaled = builder.apply('Mul', [flat, builder.constant(floatTensor('scale', [1], [1 / 51]))]);
  builder.output('scores', scaled);
  return encodeModel(chainModels(finishModel(builder.finish('pixels')), classifierHead(2)));
}

interface Row {
  readonly id: number;
  readonly image: readonly [number, number];
  readonly label: number;
  readonly source: string;
}

function arrowOf(rows: readonly Row[]): Uint8Array {
  const type = new FixedSizeList(2, new Field('item', new Uint8(), false));
  const pixels = makeData({ type: new Uint8(), data: Uint8Array.from(rows.flatMap((row) => row.image)) });
  const image = makeData({ type, length: rows.length, nullCount: 0, child: pixels });
  const id = vectorFromArray(
    rows.map((row) => row.id),
    new Int32(),
  ).data[0];
  const label = vectorFromArray(
    rows.map((row) => row.label),
    new Int32(),
  ).data[0];
  const source = vectorFromArray(
    rows.map((row) => row.source),
    new Utf8(),
  ).data[0];
  assert.ok(id && label && source);
  const schema = new Schema([
    new Field('id', new Int32(), false),
    new Field('image', type, false),
    new Field('label', new Int32(), false),
    new Field('source', new Utf8(), false),
  ]);
  const struct = makeData({
    type: new Struct(schema.fields),
    length: rows.length,
    children: [id, image, label, source],
  });
  return tableToIPC(new Table(schema, [new RecordBatch(schema, struct)]), 'stream');
}

function evaluatorOver(rows: readonly Row[], batchRows = 4): Evaluator {
  const store = {
    async *readVersion() {
      const bytes = arrowOf(rows);
      yield { arrowIpc: bytes.subarray(0, 100) };
      yield { arrowIpc: bytes.subarray(100) };
    },
  } as unknown as Client<typeof StoreService>;
  const registry = {
    async *readArtifact() {
      const bytes = brighterPixel();
      yield { chunk: bytes.subarray(0, 50) };
      yield { chunk: bytes.subarray(50) };
    },
  } as unknown as Client<typeof RegistryService>;
  return new Evaluator({
    store,
    registry,
    config: { batchRows, maxModelBytes: 100_000, maxRobustnessRows: 100 },
  });
}

function reason(expected: string): (error: unknown) => boolean {
  return (error) => {
    assert.equal(isDeclaredError(error) ? error.reason : error, expected);
    return true;
  };
}

const rows: readonly Row[] = Array.from({ length: 40 }, (_, id) => ({
  id,
  image: id % 2 === 0 ? [200, 10] : [10, 200],
  // Every fifth label is wrong.
  label: id % 5 === 0 ? (id + 1) % 2 : id % 2,
  source: id < 20 ? 'mail' : 'form',
}));

const base = { datasetVersion: 'datasets/d/versions/f', featureColumn: 'image', labelColumn: 'label' };

describe('evaluation', () => {
  it('measures only held-out rows, over several batches, also by slice', async () => {
    const request = create(EvaluateRequestSchema, {
      ...base,
      model: { case: 'onnx', value: brighterPixel() },
      split: { keyColumn: '', holdoutShare: 0.5, seed: 3 },
      sliceColumn: 'source',
    });
    const result = await evaluatorOver(rows).evaluate(request, context);
    const held = rows.filter(({ id }) => isHoldout(id, 0.5, 3));
    const right = held.filter(({ id }) => id % 5 !== 0);
    assert.ok(held.length > 8 && held.length < 32);
    assert.equal(result.rows, BigInt(held.length));
    assert.equal(result.accuracy, right.length / held.length);
    const mail = held.filter(({ source }) => source === 'mail');
    assert.deepEqual(
      result.slices?.map(({ value, rows: count }) => [value, count]),
      [
        ['form', BigInt(held.length - mail.length)],
        ['mail', BigInt(mail.length)],
      ],
    );
    assert.ok((result.samplesPerSecond ?? 0) > 0);
  });

  it('takes a registered model and all rows when there is no split', async () => {
    const request = create(EvaluateRequestSchema, {
      ...base,
      model: { case: 'modelVersion', value: 'models/digits/aliases/champion' },
    });
    const result = await evaluatorOver(rows, 7).evaluate(request, context);
    assert.equal(result.rows, 40n);
    assert.equal(result.accuracy, 0.8);
    assert.deepEqual(
      result.confusionMatrix?.map(({ predicted }) => predicted),
      [
        [16n, 4n],
        [4n, 16n],
      ],
    );
  });

  it('refuses what it cannot measure by reason', async () => {
    const evaluate = (init: object, data: readonly Row[] = rows): Promise<unknown> =>
      evaluatorOver(data).evaluate(
        create(EvaluateRequestSchema, { ...base, model: { case: 'onnx', value: brighterPixel() }, ...init }),
        context,
      );
    await assert.rejects(evaluate({ model: { case: undefined } }), reason('REQUEST_INCOMPLETE'));
    await assert.rejects(evaluate({ labelColumn: '' }), reason('REQUEST_INCOMPLETE'));
    await assert.rejects(
      evaluate({ model: { case: 'onnx', value: new Uint8Array(200_000) } }),
      reason('MODEL_TOO_LARGE'),
    );
    await assert.rejects(evaluate({ featureColumn: 'picture' }), reason('COLUMN_UNKNOWN'));
    await assert.rejects(evaluate({ featureColumn: 'id' }), reason('MODEL_UNFIT'));
    await assert.rejects(evaluate({ classes: 3 }), reason('MODEL_UNFIT'));
    await assert.rejects(evaluate({ split: { holdoutShare: 2 } }), reason('SPLIT_INVALID'));
    await assert.rejects(evaluate({}, []), reason('HOLDOUT_EMPTY'));
    await assert.rejects(
      evaluate({}, [{ id: 1, image: [1, 2], label: 7, source: '' }]),
      reason('ROW_INVALID'),
    );
    await assert.rejects(
      evaluate({}, [{ id: 1, image: [1, 2], label: -1, source: '' }]),
      reason('ROW_INVALID'),
    );
  });

  it('tells how much accuracy is left when inputs are disturbed, the same each time', async () => {
    const request = create(EvaluateRobustnessRequestSchema, {
      evaluation: { ...base, model: { case: 'onnx', value: brighterPixel() } },
      disturbances: [Disturbance.NOISE, Disturbance.CONTRAST, Disturbance.BLUR],
      strengths: [0.1, 2],
      seed: 5,
    });
    const [first, second] = [
      await evaluatorOver(rows).evaluateRobustness(request, context),
      await evaluatorOver(rows).evaluateRobustness(request, context),
    ];
    assert.deepEqual(first, second);
    assert.equal(first.cleanAccuracy, 0.8);
    const [weak, strong] = first.results ?? [];
    assert.equal(weak?.accuracy, 0.8);
    assert.ok((strong?.accuracy ?? 1) < 0.8);
    const fgsm = create(EvaluateRobustnessRequestSchema, { ...request, disturbances: [Disturbance.FGSM] });
    await assert.rejects(
      evaluatorOver(rows).evaluateRobustness(fgsm, context),
      reason('DISTURBANCE_UNSUPPORTED'),
    );
  });
});

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
