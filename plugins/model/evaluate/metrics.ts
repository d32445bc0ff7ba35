import type { MessageInitShape } from '@bufbuild/protobuf';
import type { EvaluateResponseSchema } from 'lamella/proto/lamella/model/v1/evaluate_service';

const CALIBRATION_BINS = 15;
/** As scikit-learn's log_loss does: a probability of 0 must not make the mean infinite. */
const LEAST_PROBABILITY = 1e-15;

interface Bin {
  rows: number;
  right: number;
  confidence: number;
}

/** Figures of a classifier, gathered row by row. */
export class ClassificationMetrics {
  readonly #classes: number;
  /** Rows by actual, then predicted class. */
  readonly #confusion: Float64Array;
  readonly #bins: readonly Bin[] = Array.from({ length: CALIBRATION_BINS }, () => ({
    rows: 0,
    right: 0,
    confidence: 0,
  }));
  readonly #slices = new Map<string, { rows: number; right: number }>();
  #rows = 0;
  #right = 0;
  #logLoss = 0;

  constructor(classes: number) {
    this.#classes = classes;
    this.#confusion = new Float64Array(classes * classes);
  }

  /** Rows so far. */
  get rows(): number {
    return this.#rows;
  }

  /** Share of rows predicted right. */
  get accuracy(): number {
    return ratio(this.#right, this.#rows);
  }

  /**
   * Adds one row.
   *
   * @param actual - Class from 0.
   * @param probabilities - One for each class.
   * @param slice - Value of the slice column; absent when there is none.
   */
  add(actual: number, probabilities: Float32Array, slice?: string): void {
    const predicted = indexOfLargest(probabilities);
    const confidence = probabilities[predicted] ?? 0;
    const right = predicted === actual ? 1 : 0;
    this.#rows += 1;
    this.#right += right;
    this.#logLoss -= Math.log(Math.max(probabilities[actual] ?? 0, LEAST_PROBABILITY));
    const cell = actual * this.#classes + predicted;
    this.#confusion[cell] = (this.#confusion[cell] ?? 0) + 1;
    this.#addToBin(confidence, right);
    if (slice !== undefined) this.#addToSlice(slice, right);
  }

  /** All figures. */
  summary(): MessageInitShape<typeof EvaluateResponseSchema> {
    const range = Array.from({ length: this.#classes }, (_, index) => index);
    const slices = [...this.#slices].toSorted(([a], [b]) => (a < b ? -1 : 1));
    return {
      rows: BigInt(this.#rows),
      accuracy: this.accuracy,
      perClass: range.map((index) => this.#classMetrics(index)),
      confusionMatrix: range.map((actual) => ({
        predicted: [...this.#confusionRow(actual)].map((count) => BigInt(count)),
      })),
      logLoss: ratio(this.#logLoss, this.#rows),
      calibrationError: this.#calibrationError(),
      slices: slices.map(([value, { rows, right }]) => ({
        value,
        rows: BigInt(rows),
        accuracy: ratio(right, rows),
      })),
    };
  }

  #addToBin(confidence: number, right: number): void {
    // Bins are open below and closed above, as in Guo et al. (arXiv:1706.04599).
    const index = Math.min(Math.max(Math.ceil(confidence * CALIBRATION_BINS) - 1, 0), CALIBRATION_BINS - 1);
    const bin = this.#bins[index];
    if (bin === undefined) return;
    bin.rows += 1;
    bin.right += right;
    bin.confidence += confidence;
  }

  #addToSlice(value: string, right: number): void {
    const slice = this.#slices.get(value) ?? { rows: 0, right: 0 };
    slice.rows += 1;
    slice.right += right;
    this.#slices.set(value, slice);
  }

  #confusionRow(actual: number): Float64Array {
    return this.#confusion.subarray(actual * this.#classes, (actual + 1) * this.#classes);
  }

  #classMetrics(index: number): {
    class: number;
    support: bigint;
    precision: number;
    recall: number;
    f1: number;
  } {
    const support = sum(this.#confusionRow(index));
    const hits = this.#confusionRow(index)[index] ?? 0;
    let predicted = 0;
    for (let actual = 0; actual < this.#classes; actual += 1)
      predicted += this.#confusionRow(actual)[index] ?? 0;
    return {
      class: index,
      support: BigInt(support),
      precision: ratio(hits, predicted),
      recall: ratio(hits, support),
      f1: ratio(2 * hits, predicted + support),
    };
  }

  #calibrationError(): number {
    const distances = this.#bins.map(({ right, confidence }) => Math.abs(right - confidence));
    return ratio(sum(distances), this.#rows);
  }
}

/** Index of the largest number; the first of equal ones. */
function indexOfLargest(values: Float32Array): number {
  let best = 0;
  for (let index = 1; index < values.length; index += 1) {
    if ((values[index] ?? 0) > (values[best] ?? 0)) best = index;
  }
  return best;
}

function sum(values: Iterable<number>): number {
  let total = 0;
  for (const value of values) total += value;
  return total;
}

/** A share of nothing is 0, as scikit-learn has it. */
function ratio(part: number, whole: number): number {
  return whole === 0 ? 0 : part / whole;
}
