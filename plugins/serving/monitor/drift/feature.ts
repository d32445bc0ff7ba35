import { DataType } from 'lamella/proto/lamella/data/v1/dataset';
import { type Column, widthOf } from 'lamella/sdk/arrow';

/** Values of one feature, one a row: numbers, NaN where missing, or texts, `undefined` where missing. */
export type FeatureValues = Float64Array | readonly (string | undefined)[];

/** Elements of a tensor that are features of their own; a larger one is watched by its mean and deviation. */
const MOST_ELEMENTS = 16;

const NO_NUMBERS: ReadonlySet<DataType> = new Set([DataType.BINARY, DataType.TIMESTAMP]);

/** The features that a column holds, by name. */
export function featuresOf(column: Column, rowCount: number): ReadonlyMap<string, FeatureValues> {
  const { name, type, shape, values, valid } = column;
  const isMissing = (row: number): boolean => valid?.[row] === 0;
  if (NO_NUMBERS.has(type)) return new Map();
  if (type === DataType.STRING) {
    const texts = Array.from(values as readonly string[], (text, row) => (isMissing(row) ? undefined : text));
    return new Map([[name, texts]]);
  }
  const width = widthOf(shape);
  const numbers = values as ArrayLike<number | bigint>;
  const each = (value: (start: number) => number): Float64Array =>
    Float64Array.from({ length: rowCount }, (_, row) => (isMissing(row) ? Number.NaN : value(row * width)));
  if (width === 1) return new Map([[name, each((start) => Number(numbers[start]))]]);
  if (width > MOST_ELEMENTS) {
    return new Map([
      [`${name}.mean`, each((start) => meanOf(numbers, start, width))],
      [`${name}.deviation`, each((start) => deviationOf(numbers, start, width))],
    ]);
  }
  const elements = Array.from({ length: width }, (_, index) => index);
  return new Map(
    elements.map((index) => [`${name}[${index}]`, each((start) => Number(numbers[start + index]))]),
  );
}

function meanOf(numbers: ArrayLike<number | bigint>, start: number, width: number): number {
  let sum = 0;
  for (let index = start; index < start + width; index += 1) sum += Number(numbers[index]);
  return sum / width;
}

function deviationOf(numbers: ArrayLike<number | bigint>, start: number, width: number): number {
  const mean = meanOf(numbers, start, width);
  let sum = 0;
  for (let index = start; index < start + width; index += 1) sum += (Number(numbers[index]) - mean) ** 2;
  return Math.sqrt(sum / width);
}
