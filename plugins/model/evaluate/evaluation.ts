import type { EvaluateRequest } from 'lamella/proto/lamella/model/v1/evaluate_service';
import type { Classifier, NumberArray } from './classifier.ts';
import { ModelUnfit, RowInvalid } from './errors.ts';
import { ClassificationMetrics } from './metrics.ts';
import type { EvaluationRow } from './rows.ts';

/** Rows as the model takes them, with what is true about them. */
export interface EvaluationBatch {
  readonly values: NumberArray;
  /** Values in one row. */
  readonly width: number;
  readonly labels: readonly number[];
  readonly slices: readonly (string | undefined)[];
}

/** Puts rows together to batches of at most `batchRows`. @throws MODEL_UNFIT ROW_INVALID */
export async function* batchesOf(
  rows: AsyncIterable<EvaluationRow>,
  classifier: Classifier,
  batchRows: number,
): AsyncGenerator<EvaluationBatch> {
  let waiting:
    | { values: NumberArray; width: number; labels: number[]; slices: (string | undefined)[] }
    | undefined;
  for await (const { values, label, slice } of rows) {
    const width = values.length;
    waiting ??= { values: classifier.newInput(batchRows, width), width, labels: [], slices: [] };
    if (width !== waiting.width)
      throw new RowInvalid({ column: 'features', key: '', detail: 'its size differs' });
    copyRow(values, waiting.values, waiting.labels.length * width);
    waiting.labels.push(label);
    waiting.slices.push(slice);
    if (waiting.labels.length === batchRows) {
      yield waiting;
      waiting = undefined;
    }
  }
  if (waiting !== undefined) {
    yield { ...waiting, values: waiting.values.slice(0, waiting.labels.length * waiting.width) };
  }
}

/** Runs batches through a model and gathers its figures. */
export async function measure(
  batches: AsyncIterable<EvaluationBatch> | Iterable<EvaluationBatch>,
  classifier: Classifier,
  { classes, signal }: { readonly classes: EvaluateRequest['classes']; readonly signal: AbortSignal },
): Promise<{ readonly metrics: ClassificationMetrics; readonly runMs: number }> {
  const count = classes > 0 ? classes : classifier.classes;
  if (count === undefined) throw new ModelUnfit({ detail: 'it does not say how many classes there are' });
  const metrics = new ClassificationMetrics(count);
  let runMs = 0;
  for await (const { values, labels, slices } of batches) {
    signal.throwIfAborted();
    const started = performance.now();
    const probabilities = await classifier.probabilities(values, labels.length);
    runMs += performance.now() - started;
    addBatch(metrics, { probabilities, labels, slices, classes: count });
  }
  return { metrics, runMs };
}

function addBatch(
  metrics: ClassificationMetrics,
  batch: {
    readonly probabilities: Float32Array;
    readonly labels: readonly number[];
    readonly slices: readonly (string | undefined)[];
    readonly classes: number;
  },
): void {
  const { probabilities, labels, slices, classes } = batch;
  if (probabilities.length !== labels.length * classes) {
    const given = probabilities.length / labels.length;
    throw new ModelUnfit({
      detail: `it gives ${given} probabilities a row where ${classes} classes are expected`,
    });
  }
  for (const [row, label] of labels.entries()) {
    if (label >= classes) {
      throw new RowInvalid({ column: 'label', key: '', detail: `class ${label} is not below ${classes}` });
    }
    metrics.add(label, probabilities.subarray(row * classes, (row + 1) * classes), slices[row]);
  }
}

function copyRow(from: ArrayLike<number | bigint>, to: NumberArray, offset: number): void {
  if (to instanceof BigInt64Array || to instanceof BigUint64Array) {
    for (let index = 0; index < from.length; index += 1) to[offset + index] = BigInt(from[index] ?? 0);
  } else {
    for (let index = 0; index < from.length; index += 1) to[offset + index] = Number(from[index]);
  }
}
