import {
  checkTensor,
  elementAt,
  elementIndex,
  numberView,
  type OrtTensor,
  type OrtTensors,
} from './tensor.ts';
import { checkPacked, PackedTensor, piecesOf, sizeOf } from './packed-tensor.ts';

/**
 * The wire between a session and its child process.
 *
 * @remarks Our own format, little-endian: a prefix of 16 bytes (uint32 kind, uint32 head size, float64 data size), the
 * head, zeros up to a multiple of 8, the data. Each tensor's data starts at a multiple of 8, so that both sides use it in
 * place as a typed array. One request is under way at a time.
 */
export const FRAME_KIND = { OPEN: 1, OPENED: 2, RUN: 3, RESULT: 4, FAILED: 5 } as const;

/** Size of the prefix in bytes. */
export const PREFIX_BYTES = 16;

/** A frame that arrived whole. */
export interface Frame {
  /** One of {@link FRAME_KIND}. */
  readonly kind: number;
  /** Description of the data. */
  readonly head: Buffer;
  /** Values; starts at a multiple of 8 of its buffer. */
  readonly data: Buffer;
}

/** Sizes told by a prefix. */
export interface FramePrefix {
  /** One of {@link FRAME_KIND}. */
  readonly kind: number;
  /** Head in bytes, without padding. */
  readonly headBytes: number;
  /** Offset of the data from the start of the frame. */
  readonly dataOffset: number;
  /** Whole frame in bytes. */
  readonly totalBytes: number;
}

const PADDING: Buffer = Buffer.alloc(8);
const NOTHING: Buffer = Buffer.alloc(0);

/** Rounds up to a multiple of 8. */
function align(value: number): number {
  return Math.ceil(value / 8) * 8;
}

/** Reads a prefix of {@link PREFIX_BYTES} bytes. @throws RangeError for sizes that no frame has. */
export function readPrefix(bytes: Buffer): FramePrefix {
  const kind = bytes.readUInt32LE(0);
  const headBytes = bytes.readUInt32LE(4);
  const dataBytes = bytes.readDoubleLE(8);
  if (!Number.isSafeInteger(dataBytes) || dataBytes < 0)
    throw new RangeError('The frame has an impossible size.');
  const dataOffset = align(PREFIX_BYTES + headBytes);
  return { kind, headBytes, dataOffset, totalBytes: dataOffset + dataBytes };
}

/** Cuts a whole frame, which starts at a multiple of 8, into its parts. */
export function cutFrame(bytes: Buffer, prefix: FramePrefix): Frame {
  return {
    kind: prefix.kind,
    head: bytes.subarray(PREFIX_BYTES, PREFIX_BYTES + prefix.headBytes),
    data: bytes.subarray(prefix.dataOffset, prefix.totalBytes),
  };
}

function writePrefix(
  frame: Buffer,
  { kind, headBytes, dataBytes }: { kind: number; headBytes: number; dataBytes: number },
): void {
  frame.writeUInt32LE(kind, 0);
  frame.writeUInt32LE(headBytes, 4);
  frame.writeDoubleLE(dataBytes, 8);
}

/** Values with zeros behind them, so that the next ones start at a multiple of 8. */
function padded({ pieces, sizeBytes }: Pick<TensorEntry, 'pieces' | 'sizeBytes'>): readonly Uint8Array[] {
  const rest = align(sizeBytes) - sizeBytes;
  return rest === 0 ? pieces : [...pieces, PADDING.subarray(0, rest)];
}

/** Frame whose head is structured text, for what is sent once in a session; the data is not copied. */
export function jsonFrame(kind: number, value: unknown, data: Uint8Array = NOTHING): readonly Uint8Array[] {
  const head = Buffer.from(JSON.stringify(value));
  const start = Buffer.alloc(align(PREFIX_BYTES + head.byteLength));
  const sizeBytes = data.byteLength;
  writePrefix(start, { kind, headBytes: head.byteLength, dataBytes: align(sizeBytes) });
  head.copy(start, PREFIX_BYTES);
  return sizeBytes === 0 ? [start] : [start, ...padded({ pieces: [data], sizeBytes })];
}

/** Length-prefixed UTF-8. */
function textBytes(data: readonly string[]): Uint8Array {
  const texts = data.map((text) => Buffer.from(text));
  const bytes = Buffer.allocUnsafe(texts.reduce((sum, text) => sum + 4 + text.byteLength, 0));
  let offset = 0;
  for (const text of texts) {
    offset = bytes.writeUInt32LE(text.byteLength, offset);
    offset += text.copy(bytes, offset);
  }
  return bytes;
}

interface TensorEntry {
  readonly name: Buffer;
  readonly tensor: OrtTensor;
  readonly pieces: readonly Uint8Array[];
  readonly sizeBytes: number;
}

/** Frames up to this size are put together in one buffer, for one system call without a list. */
const ONE_PIECE_BYTES = 262_144;

/** Makes frames with tensors, one after another: small ones in the same memory, which is warm then. */
export class TensorFrames {
  readonly #piece: Buffer = Buffer.allocUnsafeSlow(ONE_PIECE_BYTES);

  /**
   * Buffers to write one after another, valid until the next frame is made; large values are not copied.
   *
   * @param extra - a number beside the tensors; the child reports its memory in bytes with it.
   * @throws ORT_TENSOR_INVALID if a tensor is not whole.
   */
  make(kind: number, tensors: OrtTensors, extra: number = 0): readonly Uint8Array[] {
    const entries = Object.keys(tensors).map((name): TensorEntry => {
      const tensor = tensors[name] as OrtTensor;
      if (tensor instanceof PackedTensor) checkPacked(name, tensor);
      else checkTensor(name, tensor);
      const pieces = piecesOf(tensor) ?? [textBytes(tensor.data as readonly string[])];
      return { name: Buffer.from(name), tensor, pieces, sizeBytes: sizeOf(pieces) };
    });
    let [headBytes, dataSize] = [12, 0];
    for (const { name, tensor, sizeBytes } of entries) {
      headBytes += 16 + name.byteLength + tensor.dims.length * 8;
      dataSize += align(sizeBytes);
    }
    const dataOffset = align(PREFIX_BYTES + headBytes);
    const isOnePiece = dataOffset + dataSize <= ONE_PIECE_BYTES;
    const start = isOnePiece ? this.#piece : Buffer.allocUnsafe(dataOffset);
    writePrefix(start, { kind, headBytes, dataBytes: dataSize });
    writeHead(start, entries, extra);
    if (!isOnePiece) return [start, ...entries.flatMap(padded)];
    let offset = dataOffset;
    for (const { pieces } of entries) {
      for (const piece of pieces) {
        start.set(piece, offset);
        offset += piece.byteLength;
      }
      offset = align(offset);
    }
    return [start.subarray(0, offset)];
  }
}

function writeHead(frame: Buffer, entries: readonly TensorEntry[], extra: number): void {
  let offset = frame.writeDoubleLE(extra, PREFIX_BYTES);
  offset = frame.writeUInt32LE(entries.length, offset);
  for (const { name, tensor, sizeBytes } of entries) {
    offset = frame.writeUInt16LE(elementIndex(tensor.type) ?? 0, offset);
    offset = frame.writeUInt16LE(tensor.dims.length, offset);
    offset = frame.writeUInt32LE(name.byteLength, offset);
    offset = frame.writeDoubleLE(sizeBytes, offset);
    for (const dim of tensor.dims) offset = frame.writeDoubleLE(dim, offset);
    offset += name.copy(frame, offset);
  }
}

/** Strings of a string tensor. */
function readStrings(bytes: Buffer): string[] {
  const texts: string[] = [];
  for (let offset = 0; offset < bytes.byteLength;) {
    const end = offset + 4 + bytes.readUInt32LE(offset);
    texts.push(bytes.toString('utf8', offset + 4, end));
    offset = end;
  }
  return texts;
}

/** Tensors of a frame; numbers are views over its data. */
export function readTensors(frame: Frame): {
  readonly tensors: Record<string, OrtTensor>;
  readonly extra: number;
} {
  const { head, data } = frame;
  const tensors: Record<string, OrtTensor> = {};
  const extra = head.readDoubleLE(0);
  const count = head.readUInt32LE(8);
  let offset = 12;
  let dataOffset = 0;
  for (let index = 0; index < count; index += 1) {
    const { type } = elementAt(head.readUInt16LE(offset));
    const rank = head.readUInt16LE(offset + 2);
    const nameBytes = head.readUInt32LE(offset + 4);
    const sizeBytes = head.readDoubleLE(offset + 8);
    offset += 16;
    const dims = Array.from({ length: rank }, (_, axis) => head.readDoubleLE(offset + axis * 8));
    offset += rank * 8;
    const name = head.toString('utf8', offset, offset + nameBytes);
    offset += nameBytes;
    const bytes = data.subarray(dataOffset, dataOffset + sizeBytes);
    dataOffset += align(sizeBytes);
    tensors[name] = { type, dims, data: type === 'string' ? readStrings(bytes) : numberView(type, bytes) };
  }
  return { tensors, extra };
}
