import { TensorInvalid } from './errors.ts';
import {
  elementSize,
  elementsOf,
  numberView,
  type OrtData,
  type OrtElementType,
  type OrtTensor,
} from './tensor.ts';

/**
 * A tensor of numbers whose bytes are given as they came: in one or several pieces, at any address.
 *
 * @remarks A typed array must start at a multiple of its element size, and joining takes a copy into memory that is
 * mostly fresh, which costs more than the run of a small model. On the way to a child process neither is needed. The
 * array is made when somebody asks for `data`.
 */
export class PackedTensor implements OrtTensor {
  readonly type: OrtElementType;
  readonly dims: readonly number[];
  /** The values, little-endian, one piece behind the other. */
  readonly pieces: readonly Uint8Array[];
  #data: OrtData | undefined;

  constructor(type: OrtElementType, dims: readonly number[], pieces: readonly Uint8Array[]) {
    this.type = type;
    this.dims = dims;
    this.pieces = pieces;
  }

  get data(): OrtData {
    const [first] = this.pieces;
    const isOne = this.pieces.length === 1 && first !== undefined;
    this.#data ??= numberView(this.type, isOne ? first : joined(this.pieces));
    return this.#data;
  }
}

/** Checks that a packed tensor is whole. @throws ORT_TENSOR_INVALID */
export function checkPacked(name: string, { type, dims, pieces }: PackedTensor): void {
  const expected = elementsOf(dims) * (elementSize(type) ?? 0);
  const got = sizeOf(pieces);
  if (got === expected && type !== 'string') return;
  const problem = `the shape [${dims.join(',')}] of ${type} takes ${expected} bytes and not ${got}`;
  throw new TensorInvalid({ name, problem });
}

/** Bytes of the values of a tensor of numbers, without a copy; `undefined` for strings. */
export function piecesOf(tensor: OrtTensor): readonly Uint8Array[] | undefined {
  if (tensor instanceof PackedTensor) return tensor.pieces;
  const { data } = tensor;
  return 'buffer' in data ? [new Uint8Array(data.buffer, data.byteOffset, data.byteLength)] : undefined;
}

/** Size of several pieces in bytes. */
export function sizeOf(pieces: readonly Uint8Array[]): number {
  let sizeBytes = 0;
  for (const piece of pieces) sizeBytes += piece.byteLength;
  return sizeBytes;
}

function joined(pieces: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(sizeOf(pieces));
  let offset = 0;
  for (const piece of pieces) {
    bytes.set(piece, offset);
    offset += piece.byteLength;
  }
  return bytes;
}
