import { type OrtTensor, type OrtTensors, PackedTensor, piecesOf } from 'lamella/sdk/ort';

/** How the requests of a run are put together and its answer taken apart, where that is not row by row. */
export interface BatchLayout {
  /** Requests of the same text may run together. */
  key(tensors: OrtTensors): string;
  /** The inputs of a run, also of one with one request. */
  join(requests: readonly OrtTensors[]): OrtTensors;
  /** What each request gets; `undefined` where the outputs are not as long as that needs. */
  split(
    outputs: OrtTensors,
    rows: readonly number[],
    requests: readonly OrtTensors[],
  ): readonly OrtTensors[] | undefined;
}

/** Tells which requests may run together: those whose tensors differ in the number of rows only. */
export function batchKey(tensors: OrtTensors): string {
  return Object.keys(tensors)
    .toSorted()
    .map((name) => `${name}:${tensors[name]?.dims.slice(1).join('x')}`)
    .join('|');
}

/** Joins the tensors of several requests along the first dimension; numbers are not copied. */
export function joinRows(requests: readonly OrtTensors[]): OrtTensors {
  const [first] = requests;
  if (first === undefined || requests.length === 1) return first ?? {};
  const joined: Record<string, OrtTensor> = {};
  for (const name of Object.keys(first)) joined[name] = joinColumn(requests, name);
  return joined;
}

function joinColumn(requests: readonly OrtTensors[], name: string): OrtTensor {
  const parts: OrtTensor[] = [];
  const pieces: Uint8Array[] = [];
  let rows = 0;
  for (const tensors of requests) {
    const tensor = tensors[name];
    if (tensor === undefined) continue;
    parts.push(tensor);
    pieces.push(...(piecesOf(tensor) ?? []));
    rows += tensor.dims[0] ?? 0;
  }
  const [{ type, dims }] = parts as [OrtTensor];
  const all = [rows, ...dims.slice(1)];
  if (type !== 'string') return new PackedTensor(type, all, pieces);
  return { type, dims: all, data: parts.flatMap(({ data }) => [...(data as readonly string[])]) };
}

/**
 * Gives each request its rows, without a copy of numbers.
 *
 * @param rows - Rows of each request, in their order.
 */
export function splitRows(outputs: OrtTensors, rows: readonly number[]): OrtTensors[] {
  const parts = rows.map((): Record<string, OrtTensor> => ({}));
  for (const name of Object.keys(outputs)) {
    const { type, dims, data } = outputs[name] as OrtTensor;
    const rest = dims.slice(1);
    const rowSize = rest.reduce((product, size) => product * size, 1);
    const isView = 'buffer' in data;
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
