import { elementsOf, type OrtElementType, type OrtTensor } from 'lamella/sdk/ort';
import { RequestInvalid } from './errors.ts';

/** An output that a request names. */
export interface WantedOutput {
  /** Name. */
  readonly name: string;
  /** How many of its highest values are wanted instead of the tensor; `undefined` for the tensor itself. */
  readonly classes?: number | undefined;
}

/** Classes of one row that a request may ask for; more than that is no classification. */
const MOST_CLASSES = 100_000;

/**
 * The `classification` parameter of an output: a whole number above 0.
 *
 * @throws REQUEST_INVALID
 */
export function readClasses(value: unknown, output: string): number | undefined {
  if (value === undefined) return undefined;
  const classes = typeof value === 'bigint' || typeof value === 'number' ? Number(value) : Number.NaN;
  if (Number.isInteger(classes) && classes > 0 && classes <= MOST_CLASSES) return classes;
  const problem = `parameter 'classification' of output '${output}' must be a number from 1 to ${MOST_CLASSES}`;
  throw new RequestInvalid({ problem });
}

/**
 * The highest values of each row, as texts `value:index` or `value:index:name`, highest first; equal ones in the order of their indices.
 *
 * @remarks Source: triton-inference-server/server: docs/protocol/extension_classification.md. Values have six decimals
 * as there; the name of the class follows where there is one.
 * @throws REQUEST_INVALID for outputs that are no numbers
 */
export function classify(
  output: string,
  tensor: OrtTensor,
  { classes, isBatched, classNames = [] }: Classify,
): OrtTensor {
  const { type, dims, data } = tensor;
  if (!('buffer' in data) || UNORDERED.has(type)) {
    const problem = `output '${output}' holds ${type}, of which there are no classes; read its values`;
    throw new RequestInvalid({ problem });
  }
  const [rows, rest] = isBatched ? [dims[0] ?? 1, dims.slice(1)] : [1, dims];
  const size = elementsOf(rest);
  const count = Math.min(size, classes);
  const texts: string[] = [];
  for (let row = 0; row < rows; row += 1) {
    const values = data.subarray(row * size, (row + 1) * size);
    for (const index of highest(values, count)) {
      texts.push(`${textOf(type, values[index] ?? 0)}:${index}${suffix(classNames[index])}`);
    }
  }
  return { type: 'string', dims: isBatched ? [rows, count] : [count], data: texts };
}

/** Name of a class as it follows its index. */
function suffix(className: string | undefined): string {
  return className === undefined || className === '' ? '' : `:${className}`;
}

/** Types whose values are not compared as numbers here. */
const UNORDERED: ReadonlySet<OrtElementType> = new Set(['bool', 'float16', 'string']);

/** Input of {@link classify}. */
interface Classify {
  readonly classes: number;
  /** True when the first dimension counts rows. */
  readonly isBatched: boolean;
  /** Names of the classes, where there are some. */
  readonly classNames?: readonly string[] | undefined;
}

function highest(values: ArrayLike<number | bigint>, count: number): number[] {
  const indices = Array.from(values, (_value, index) => index);
  indices.sort((one, other) => order(values[one] ?? 0, values[other] ?? 0));
  return indices.slice(0, count);
}

/** NaN is lower than everything. */
function order(one: number | bigint, other: number | bigint): number {
  if (one === other) return 0;
  if (Number.isNaN(other)) return Number.isNaN(one) ? 0 : -1;
  return one > other ? -1 : 1;
}

/** What C's `%f` prints for fractions; integers as they are. */
function textOf(type: OrtElementType, value: number | bigint): string {
  if (typeof value === 'bigint' || !FRACTIONS.has(type)) return String(value);
  if (Number.isNaN(value)) return 'nan';
  return Number.isFinite(value) ? value.toFixed(6) : value > 0 ? 'inf' : '-inf';
}

const FRACTIONS: ReadonlySet<OrtElementType> = new Set(['float32', 'float64']);
