import { elementsOf, type OrtData, type OrtTensor, type OrtTensors } from 'lamella/sdk/ort';
import type { ModelConfig } from 'lamella/proto/inference/model_config';
import { ModelLoadFailed } from './errors.ts';
import { fieldsOf, isRecord } from './json-parameter.ts';

/** Sizes up to which an input is padded. */
interface InputBuckets {
  /** Dimension that varies, counted with the batch. */
  readonly axis: number;
  /** Sizes, ascending. */
  readonly sizes: readonly number[];
  /** What is put behind the values of a request. */
  readonly value: number;
}

/** A dimension of an output that follows one of an input. */
interface OutputCut {
  readonly axis: number;
  readonly input: string;
}

/** How requests of different sizes are made to share a batch. */
export interface ShapeBuckets {
  readonly inputs: ReadonlyMap<string, InputBuckets>;
  readonly outputs: ReadonlyMap<string, OutputCut>;
}

/** Inputs that were padded. */
export interface Padded {
  readonly tensors: OrtTensors;
  /** Inputs as they came. */
  readonly before: OrtTensors;
}

/** Name of the parameter in a model's configuration. */
const PARAMETER = 'shape_buckets';
const MOST_SIZES = 64;

/**
 * Reads the parameter `shape_buckets`, which Triton does not have:
 * `{"inputs": {"ids": {"axis": 1, "sizes": [16, 64], "value": 0}}, "outputs": {"scores": {"axis": 1, "input": "ids"}}}`.
 *
 * @throws MODEL_LOAD_FAILED
 */
export function readShapeBuckets(config: ModelConfig): ShapeBuckets | undefined {
  const text = config.parameters[PARAMETER]?.stringValue ?? '';
  if (text === '') return undefined;
  const fail = (problem: string): Error =>
    new ModelLoadFailed({ model: config.name, problem: `parameter '${PARAMETER}' ${problem}` });
  if (config.maxBatchSize <= 1) throw fail('needs a model that takes batches');
  const { inputs, outputs } = parse(text, fail);
  const bucketsOf = (name: string, entry: Record<string, unknown>): InputBuckets => {
    const input = config.input.find((one) => one.name === name);
    const { axis, sizes, value = 0 } = entry;
    const isAxis = typeof axis === 'number' && input?.dims[axis - 1] === -1n;
    if (!isAxis) throw fail(`names no variable dimension of an input '${name}'; axis counts with the batch`);
    if (!isSizes(sizes)) throw fail(`needs 1 to ${MOST_SIZES} ascending sizes for '${name}'`);
    if (typeof value !== 'number') throw fail(`has a value for '${name}' that is no number`);
    return { axis, sizes, value };
  };
  const buckets = new Map(Object.entries(inputs).map(([name, entry]) => [name, bucketsOf(name, entry)]));
  const cutOf = (name: string, { axis, input }: Record<string, unknown>): OutputCut => {
    const output = config.output.find((one) => one.name === name);
    const isAxis = typeof axis === 'number' && output?.dims[axis - 1] === -1n;
    if (isAxis && typeof input === 'string' && buckets.has(input)) return { axis, input };
    throw fail(`names no variable dimension of an output '${name}' that follows one of its inputs`);
  };
  return {
    inputs: buckets,
    outputs: new Map(Object.entries(outputs).map(([name, entry]) => [name, cutOf(name, entry)])),
  };
}

type Entries = Readonly<Record<string, Record<string, unknown>>>;

function parse(text: string, fail: (problem: string) => Error): { inputs: Entries; outputs: Entries } {
  const { inputs, outputs = {} } = fieldsOf(text, fail);
  const areEntries = (entries: unknown): entries is Entries =>
    isRecord(entries) && Object.values(entries).every(isRecord);
  if (areEntries(inputs) && areEntries(outputs)) return { inputs, outputs };
  throw fail("must have 'inputs' and may have 'outputs', objects by tensor name");
}

function isSizes(sizes: unknown): sizes is readonly number[] {
  return (
    Array.isArray(sizes) &&
    sizes.length > 0 &&
    sizes.length <= MOST_SIZES &&
    sizes.every(
      (size, index) =>
        Number.isSafeInteger(size) && size > 0 && (index === 0 || size > Number(sizes[index - 1])),
    )
  );
}

/** Pads each input to the next size; one that is larger than all of them stays as it is. */
export function padInputs(before: OrtTensors, { inputs }: ShapeBuckets): Padded {
  const tensors: Record<string, OrtTensor> = { ...before };
  for (const [name, { axis, sizes, value }] of inputs) {
    const tensor = before[name];
    const size = tensor?.dims[axis] ?? 0;
    const target = sizes.find((one) => one >= size);
    if (tensor === undefined || target === undefined || target === size) continue;
    tensors[name] = resized(tensor, { axis, size: target, value });
  }
  return { tensors, before };
}

/** Cuts from the outputs what belongs to the padding. */
export function cutOutputs(outputs: OrtTensors, padded: Padded, buckets: ShapeBuckets): OrtTensors {
  const cut: Record<string, OrtTensor> = { ...outputs };
  for (const [name, { axis, input }] of buckets.outputs) {
    const tensor = outputs[name];
    const inputAxis = buckets.inputs.get(input)?.axis ?? 0;
    const size = padded.before[input]?.dims[inputAxis] ?? 0;
    if (tensor === undefined || tensor.dims[axis] !== padded.tensors[input]?.dims[inputAxis]) continue;
    if (tensor.dims[axis] !== size) cut[name] = resized(tensor, { axis, size, value: 0 });
  }
  return cut;
}

/** A copy of a tensor with another size of one dimension: cut, or filled up behind the values. */
function resized(
  { type, dims, data }: OrtTensor,
  { axis, size, value }: { readonly axis: number; readonly size: number; readonly value: number },
): OrtTensor {
  const outer = elementsOf(dims.slice(0, axis));
  const inner = elementsOf(dims.slice(axis + 1));
  const [from, to] = [(dims[axis] ?? 0) * inner, size * inner];
  const kept = Math.min(from, to);
  const target = filled(data, outer * to, value);
  for (let block = 0; block < outer; block += 1) {
    for (let index = 0; index < kept; index += 1) target[block * to + index] = data[block * from + index];
  }
  return { type, dims: dims.with(axis, size), data: target as OrtData };
}

/** An array of the same kind, as long as asked for, that holds a value everywhere. */
function filled(data: OrtData, length: number, value: number): { [index: number]: unknown } {
  if (!('buffer' in data)) return Array.from({ length }, () => '');
  const ArrayType = data.constructor as new (length: number) => Float32Array | BigInt64Array;
  const array = new ArrayType(length);
  if (value === 0) return array;
  return array instanceof BigInt64Array || (array as object) instanceof BigUint64Array
    ? (array as BigInt64Array).fill(BigInt(Math.trunc(value)))
    : (array as Float32Array).fill(value);
}
