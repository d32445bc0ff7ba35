import type { OrtData, OrtTensor, OrtTensors } from 'lamella/sdk/ort';

type NumberArray = Exclude<OrtData, readonly string[]>;

/** Tells which requests may run together: those whose tensors differ in the number of rows only. */
export function batchKey(tensors: OrtTensors): string {
  return Object.keys(tensors)
    .toSorted()
    .map((name) => `${name}:${tensors[name]?.dims.slice(1).join('x')}`)
    .join('|');
}

/** Joins the tensors of several requests along the first dimension. */
export function joinRows(requests: readonly OrtTensors[]): OrtTensors {
  const [first] = requests;
  if (first === undefined || requests.length === 1) return first ?? {};
  const joined: Record<string, OrtTensor> = {};
  for (const name of Object.keys(first)) {
    const parts = requests.map((tensors) => tensors[name]).filter((tensor) => tensor !== undefined);
    const rows = parts.reduce((sum, { dims }) => sum + (dims[0] ?? 0), 0);
    const [{ type, dims }] = parts as [OrtTensor];
    joined[name] = { type, dims: [rows, ...dims.slice(1)], data: joinData(parts.map(({ data }) => data)) };
  }
  return joined;
}

function joinData(parts: readonly OrtData[]): OrtData {
  const [first] = parts;
  if (first === undefined || !('buffer' in first))
    return parts.flatMap((part) => [...(part as readonly string[])]);
  const total = parts.reduce((sum, part) => sum + (part as NumberArray).byteLength, 0);
  const bytes = new Uint8Array(total);
  let offset = 0;
  for (const part of parts as readonly NumberArray[]) {
    bytes.set(new Uint8Array(part.buffer, part.byteOffset, part.byteLength), offset);
    offset += part.byteLength;
  }
  const ArrayType = first.constructor as new (buffer: ArrayBuffer) => NumberArray;
  return new ArrayType(bytes.buffer);
}

/** Rows `[start, end)` of each tensor, without a copy of numbers. */
export function takeRows(tensors: OrtTensors, start: number, end: number): OrtTensors {
  const taken: Record<string, OrtTensor> = {};
  for (const [name, { type, dims, data }] of Object.entries(tensors)) {
    const rowSize = dims.slice(1).reduce((product, size) => product * size, 1);
    const rows =
      'buffer' in data
        ? data.subarray(start * rowSize, end * rowSize)
        : data.slice(start * rowSize, end * rowSize);
    taken[name] = { type, dims: [end - start, ...dims.slice(1)], data: rows };
  }
  return taken;
}

/** True when every tensor has that many rows, which is what makes it safe to give each caller its part. */
export function hasRows(tensors: OrtTensors, rows: number): boolean {
  return Object.values(tensors).every(({ dims }) => dims[0] === rows);
}
