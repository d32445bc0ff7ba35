import {
  elementsOf,
  elementSize,
  numberView,
  type OrtData,
  type OrtPort,
  type OrtTensor,
  type OrtTensors,
} from './tensor.ts';

/** Values of one row of an input, row-major. */
export type RowValues = readonly (number | string | boolean)[];

/** What a model is given while it is tuned: chance, zeros, or the values of one row of each input by name. */
export type TuneData = 'random' | 'zero' | Readonly<Record<string, RowValues>>;

/** How inputs are made. */
export interface TuneInputs {
  /** Rows of one run. */
  readonly rows: number;
  /** Sizes of dimensions that vary, beside the first; 1 where nothing is said. */
  readonly shapes: Readonly<Record<string, readonly number[]>>;
  readonly data: TuneData;
}

/** Letters of a text that is made by chance. */
const TEXT_LENGTH = 16;
/** Bits of the half-precision numbers from 0.5 to 1. */
const HALF_BITS = 0x38_00;
const HALF_STEPS = 0x4_00;

/** Makes the inputs of a run. @throws RangeError where the values of a row do not fit the shape */
export function tuneInputs(ports: readonly OrtPort[], { rows, shapes, data }: TuneInputs): OrtTensors {
  return Object.fromEntries(
    ports.map((port) => {
      const dims = dimsOf(port, rows, shapes[port.name]);
      if (typeof data === 'string') return [port.name, filled(port, dims, data === 'random')];
      const row = data[port.name];
      if (row === undefined) throw new RangeError(`the data has no values for input '${port.name}'`);
      return [port.name, repeated(port, dims, row)];
    }),
  );
}

/** The first variable dimension is the batch where it comes first, others are as said, or 1. */
function dimsOf(port: OrtPort, rows: number, shape: readonly number[] = []): readonly number[] {
  return port.dims.map((size, axis) => {
    if (size !== -1) return size;
    return axis === 0 ? rows : (shape[axis] ?? 1);
  });
}

function filled({ type }: OrtPort, dims: readonly number[], isRandom: boolean): OrtTensor {
  const count = elementsOf(dims);
  if (type === 'string') {
    return { type, dims, data: Array.from({ length: count }, () => (isRandom ? randomText() : '')) };
  }
  const data = numberView(type, new Uint8Array(count * (elementSize(type) ?? 0)));
  if (isRandom) for (let index = 0; index < count; index += 1) put(data, index, randomNumber(type));
  return { type, dims, data };
}

/** Floats are from 0 to 1; whole numbers are 0 or 1, which is an index that a table of any size has. */
function randomNumber(type: OrtPort['type']): number {
  if (type === 'float16') return HALF_BITS + Math.floor(Math.random() * HALF_STEPS);
  return type.startsWith('float') ? Math.random() : Math.floor(Math.random() * 2);
}

function randomText(): string {
  return Array.from({ length: TEXT_LENGTH }, () => Math.floor(Math.random() * 36).toString(36)).join('');
}

function repeated(
  { name, type, dims: declared }: OrtPort,
  dims: readonly number[],
  row: RowValues,
): OrtTensor {
  const count = elementsOf(dims);
  const each = declared[0] === -1 ? elementsOf(dims.slice(1)) : count;
  if (row.length !== each) {
    const sizes = `${row.length} values for input '${name}', which has ${each} in a row`;
    throw new RangeError(`the data has ${sizes}; say the sizes that vary with shapes`);
  }
  if (type === 'float16')
    throw new RangeError(`input '${name}' is float16, which data cannot hold; use random`);
  if (type === 'string') {
    return { type, dims, data: Array.from({ length: count }, (_, index) => String(row[index % each])) };
  }
  const data = numberView(type, new Uint8Array(count * (elementSize(type) ?? 0)));
  for (let index = 0; index < count; index += 1) put(data, index, Number(row[index % each]));
  return { type, dims, data };
}

function put(data: Exclude<OrtData, readonly string[]>, index: number, value: number): void {
  if (data instanceof BigInt64Array || data instanceof BigUint64Array)
    data[index] = BigInt(Math.trunc(value));
  else data[index] = value;
}
