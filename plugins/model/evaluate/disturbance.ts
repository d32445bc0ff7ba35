import { Disturbance } from 'lamella/proto/lamella/model/v1/evaluate_service';
import type { NumberArray } from './classifier.ts';
import { DisturbanceUnsupported } from './errors.ts';
import type { EvaluationBatch } from './evaluation.ts';

/** How a batch is disturbed. */
export interface DisturbanceOptions {
  readonly kind: Disturbance;
  /** Share of the input's range. */
  readonly strength: number;
  readonly seed: number;
  /** Sizes of one row as the model takes it. */
  readonly shape: readonly number[];
  /** Range of the values of the whole hold-out. */
  readonly range: { readonly minimum: number; readonly maximum: number };
}

/** Disturbs a copy of a batch; the same seed gives the same disturbance. @throws DISTURBANCE_UNSUPPORTED */
export function disturb(batch: EvaluationBatch, options: DisturbanceOptions): EvaluationBatch {
  const { values } = batch;
  if (values instanceof BigInt64Array || values instanceof BigUint64Array) {
    throw unsupported(options.kind, 'the input holds whole numbers of 64 bits');
  }
  const source = Float64Array.from(values);
  const result = values.slice() as Exclude<NumberArray, BigInt64Array | BigUint64Array>;
  const { minimum, maximum } = options.range;
  const changed = apply(source, options);
  const isWhole = !(result instanceof Float32Array || result instanceof Float64Array);
  for (let index = 0; index < changed.length; index += 1) {
    const value = Math.min(Math.max(changed[index] ?? 0, minimum), maximum);
    result[index] = isWhole ? Math.round(value) : value;
  }
  return { ...batch, values: result };
}

function apply(source: Float64Array, options: DisturbanceOptions): Float64Array {
  switch (options.kind) {
    case Disturbance.NOISE:
      return addNoise(source, options);
    case Disturbance.CONTRAST:
      return lowerContrast(source, options);
    case Disturbance.BLUR:
      return blur(source, options);
    default:
      throw unsupported(options.kind, 'it needs gradients of the input, which are not computed yet');
  }
}

function addNoise(source: Float64Array, { strength, seed, range }: DisturbanceOptions): Float64Array {
  const random = randomNumbers(seed);
  const deviation = strength * (range.maximum - range.minimum);
  // Box-Muller: two even numbers give one normal one.
  return source.map((value) => {
    const radius = Math.sqrt(-2 * Math.log(1 - random()));
    return value + deviation * radius * Math.cos(2 * Math.PI * random());
  });
}

function lowerContrast(source: Float64Array, { strength, range }: DisturbanceOptions): Float64Array {
  const middle = (range.minimum + range.maximum) / 2;
  return source.map((value) => middle + (value - middle) * (1 - strength));
}

/** Mixes each value with the mean of the 3 x 3 around it; a strength of 1 leaves only the mean. */
function blur(source: Float64Array, { kind, strength, shape }: DisturbanceOptions): Float64Array {
  const [height, width] = shape.slice(-2);
  if (height === undefined || width === undefined || shape.length < 2)
    throw unsupported(kind, 'the input is no image');
  const share = Math.min(strength * 5, 1);
  return source.map((value, index) => {
    const column = index % width;
    const row = Math.floor(index / width) % height;
    const plane = index - row * width - column;
    let total = 0;
    let count = 0;
    for (let y = Math.max(row - 1, 0); y <= Math.min(row + 1, height - 1); y += 1) {
      for (let x = Math.max(column - 1, 0); x <= Math.min(column + 1, width - 1); x += 1) {
        total += source[plane + y * width + x] ?? 0;
        count += 1;
      }
    }
    return value * (1 - share) + (total / count) * share;
  });
}

/** Mulberry32: small, fast, the same everywhere. */
function randomNumbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000;
  };
}

function unsupported(kind: Disturbance, detail: string): Error {
  const disturbance = Object.entries(Disturbance).find(([, number]) => number === kind)?.[0] ?? String(kind);
  return new DisturbanceUnsupported({ disturbance, detail });
}
