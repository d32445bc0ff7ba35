import type { OrtData, OrtTensor, OrtTensors } from 'lamella/sdk/ort';
import type { BatchArena } from './batch-arena.ts';

type NumberArray = Exclude<OrtData, readonly string[]>;
type NumberArrayType = new (buffer: ArrayBufferLike, byteOffset: number, length: number) => NumberArray;

/** Tells which requests may run together: those whose tensors differ in the number of rows only. */
export function batchKey(tensors: OrtTensors): string {
  return Object.keys(tensors)
    .toSorted()
    .map((name) => `${name}:${tensors[name]?.dims.slice(1).join('x')}`)
    .join('|');
}

/** Joins the tensors of several requests along the first dimension; numbers lie in the arena then. */
export function joinRows(requests: readonly OrtTensors[], arena: BatchArena): OrtTensors {
  const [first] = requests;
  if (first === undefined || requests.length === 1) return first ?? {};
  const columns = Object.keys(first).map((name) => columnOf(requests, name));
  // Each may be moved to a multiple of 8.
  arena.reset(columns.reduce((sum, { sizeBytes }) => sum + sizeBytes + 8, 0));
  const joined: Record<string, OrtTensor> = {};
  for (const { name, parts, rows, sizeBytes } of columns) {
    const [{ type, dims, data }] = parts as [OrtTensor];
    const values = 'buffer' in data ? joinNumbers(parts, data, arena.take(sizeBytes)) : joinTexts(parts);
    joined[name] = { type, dims: [rows, ...dims.slice(1)], data: values };
  }
  return joined;
}

interface Column {
  readonly name: string;
  readonly parts: readonly OrtTensor[];
  readonly rows: number;
  readonly sizeBytes: number;
}

function columnOf(requests: readonly OrtTensors[], name: string): Column {
  const parts: OrtTensor[] = [];
  let [rows, sizeBytes] = [0, 0];
  for (const tensors of requests) {
    const tensor = tensors[name];
    if (tensor === undefined) continue;
    parts.push(tensor);
    rows += tensor.dims[0] ?? 0;
    if ('buffer' in tensor.data) sizeBytes += tensor.data.byteLength;
  }
  return { name, parts, rows, sizeBytes };
}

function joinNumbers(parts: readonly OrtTensor[], first: NumberArray, target: Uint8Array): OrtData {
  const ArrayType = first.constructor as NumberArrayType & { readonly BYTES_PER_ELEMENT: number };
  const length = target.byteLength / ArrayType.BYTES_PER_ELEMENT;
  const joined = new ArrayType(target.buffer, target.byteOffset, length);
  let offset = 0;
  for (const { data } of parts) {
    // All of one type: the array of the type copies as a block of memory.
    (joined as Float32Array).set(data as Float32Array, offset);
    offset += data.length;
  }
  return joined;
}

function joinTexts(parts: readonly OrtTensor[]): readonly string[] {
  return parts.flatMap(({ data }) => [...(data as readonly string[])]);
}

/**
 * Gives each request its rows, without a copy of numbers.
 *
 * @param rows - Rows of each request, in their order.
 * @param arena - Where the inputs of this batch were joined: answers that lie there are copied.
 */
export function splitRows(outputs: OrtTensors, rows: readonly number[], arena?: BatchArena): OrtTensors[] {
  const parts = rows.map((): Record<string, OrtTensor> => ({}));
  for (const name of Object.keys(outputs)) {
    const { type, dims, data } = outputs[name] as OrtTensor;
    const rest = dims.slice(1);
    const rowSize = rest.reduce((product, size) => product * size, 1);
    const isView = 'buffer' in data && arena?.holds(data) !== true;
    let start = 0;
    for (let index = 0; index < rows.length; index += 1) {
      const count = rows[index] ?? 0;
      const end = start + count * rowSize;
      const part = isView ? data.subarray(start, end) : data.slice(start, end);
      (parts[index] as Record<string, OrtTensor>)[name] = { type, dims: [count, ...rest], data: part };
      start = end;
    }
  }
  return parts;
}

/** True when every tensor has that many rows, which is what makes it safe to give each caller its part. */
export function hasRows(tensors: OrtTensors, rows: number): boolean {
  return Object.values(tensors).every(({ dims }) => dims[0] === rows);
}
