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
import { Evaluator } from '../../../plugins/model/evaluate/evaluator.ts';

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

function batchOf(rows: readonly Row[]): { readonly schema: Schema; readonly batch: RecordBatch } {
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
  return { schema, batch: new RecordBatch(schema, struct) };
}

function manyBatches(parts: readonly (readonly Row[])[]): Uint8Array {
  const batches = parts.map((part) => batchOf(part));
  const schema = batches[0]?.schema ?? new Schema([]);
  return tableToIPC(
    new Table(
      schema,
      batches.map(({ batch }) => batch),
    ),
    'stream',
  );
}

function arrowOf(rows: readonly Row[]): Uint8Array {
  return manyBatches([rows]);
}

/** How a store cuts its rows: chunks of bytes, and how many rows it says there are. */
interface StoreShape {
  readonly chunks?: (bytes: Uint8Array) => readonly Uint8Array[];
  readonly rowCount?: number;
  readonly onEnd?: () => void;
}

function evaluatorOver(rows: readonly Row[], batchRows = 4, shape: StoreShape = {}): Evaluator {
  const cut = shape.chunks ?? ((bytes) => [bytes.subarray(0, 100), bytes.subarray(100)]);
  const store = {
    getVersion: async () => ({
      version: { name: 'datasets/d/versions/f', rowCount: BigInt(shape.rowCount ?? rows.length) },
    }),
    async *readVersion() {
      try {
        for (const arrowIpc of cut(arrowOf(rows))) yield { arrowIpc };
      } finally {
        shape.onEnd?.();
      }
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

  const whole = create(EvaluateRequestSchema, { ...base, model: { case: 'onnx', value: brighterPixel() } });

  it('reads every batch, whether they come as one stream or as a stream each', async () => {
    const parts = [rows.slice(0, 15), rows.slice(15, 30), rows.slice(30)];
    const asStreams = (): readonly Uint8Array[] => parts.map(arrowOf);
    const asOne = (): readonly Uint8Array[] => [manyBatches(parts)];
    for (const chunks of [asStreams, asOne]) {
      let ended = 0;
      const evaluator = evaluatorOver(rows, 4, { chunks, onEnd: () => (ended += 1) });
      const result = await evaluator.evaluate(whole, context);
      assert.deepEqual([result.rows, result.accuracy, ended], [40n, 0.8, 1]);
    }
  });

  it('gives no figures over a part of the data, and leaves no call open', async () => {
    let ended = 0;
    const onEnd = (): void => void (ended += 1);
    const short = evaluatorOver(rows, 4, { chunks: () => [arrowOf(rows.slice(0, 30))], onEnd });
    await assert.rejects(short.evaluate(whole, context), reason('ROWS_INCOMPLETE'));
    const many = evaluatorOver(rows, 4, { chunks: () => [arrowOf(rows), arrowOf(rows)], onEnd });
    await assert.rejects(many.evaluate(whole, context), reason('ROWS_INCOMPLETE'));
    const bad = evaluatorOver([{ id: 1, image: [1, 2], label: 7, source: '' }, ...rows], 1, { onEnd });
    await assert.rejects(bad.evaluate(whole, context), reason('ROW_INVALID'));
    assert.equal(ended, 3);
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
