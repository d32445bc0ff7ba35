import type { CallHeaders } from '../../sdk/index.ts';
import type { WireStatus } from '../server/status.ts';

/** A call begins. With `bytes` it is unary: one request, one answer, no flow control. */
export interface OpenFrame {
  readonly kind: 'open';
  readonly id: number;
  readonly path: string;
  readonly headers: CallHeaders | undefined;
  readonly deadlineMs: number | undefined;
  readonly bytes?: Uint8Array;
}

/** Everything that ends a call well. */
export interface EndFrame {
  readonly kind: 'end';
  readonly id: number;
  /** Answer of a unary call. */
  readonly bytes?: Uint8Array;
  readonly headers?: CallHeaders | undefined;
  readonly trailers?: CallHeaders | undefined;
}

/**
 * What two threads say to each other over one port: small records beside bytes, never trees of objects.
 *
 * @remarks Calls go both ways. Numbers say whose call it is: the kernel's are odd, the worker's even.
 */
export type Frame =
  | OpenFrame
  | EndFrame
  | { readonly kind: 'message'; readonly id: number; readonly bytes: Uint8Array }
  /** The caller has sent its last request. */
  | { readonly kind: 'half'; readonly id: number }
  | { readonly kind: 'headers'; readonly id: number; readonly headers: CallHeaders }
  | { readonly kind: 'fail'; readonly id: number; readonly status: WireStatus }
  | { readonly kind: 'cancel'; readonly id: number; readonly status: WireStatus }
  /** The reader has taken so many bytes and the writer may send as many more. */
  | { readonly kind: 'credit'; readonly id: number; readonly bytes: number }
  | { readonly kind: 'ask'; readonly id: number; readonly name: string; readonly value: unknown }
  | {
      readonly kind: 'answer';
      readonly id: number;
      readonly value: unknown;
      readonly status: WireStatus | undefined;
    }
  | { readonly kind: 'tell'; readonly name: string; readonly value: unknown };

/** What came over a port is no frame, or breaks the rules of its call. */
export class BrokenFrame extends Error {}

type Fields = Readonly<Record<string, unknown>>;

const isBytes = (value: unknown): boolean => value instanceof Uint8Array;
const isHeaders = (value: unknown): boolean => value === undefined || value instanceof Map;
const isText = (value: unknown): boolean => typeof value === 'string';
const isCount = (value: unknown): boolean => typeof value === 'number' && value >= 0 && value < Infinity;

function isStatus(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const { code, message, detailsBin, trailers } = value as Fields;
  const isSound = Number.isInteger(code) && isText(message) && trailers instanceof Map;
  return isSound && (detailsBin === undefined || isBytes(detailsBin));
}

/** What each kind of frame must hold. */
const CHECKS: Readonly<Record<Frame['kind'], (frame: Fields) => boolean>> = {
  open: ({ path, headers, deadlineMs, bytes }) =>
    isText(path) &&
    isHeaders(headers) &&
    (deadlineMs === undefined || isCount(deadlineMs)) &&
    (bytes === undefined || isBytes(bytes)),
  end: ({ bytes, headers, trailers }) =>
    (bytes === undefined || isBytes(bytes)) && isHeaders(headers) && isHeaders(trailers),
  message: ({ bytes }) => isBytes(bytes),
  half: () => true,
  headers: ({ headers }) => headers instanceof Map,
  fail: ({ status }) => isStatus(status),
  cancel: ({ status }) => isStatus(status),
  credit: ({ bytes }) => isCount(bytes),
  ask: ({ name }) => isText(name),
  answer: ({ status }) => status === undefined || isStatus(status),
  tell: ({ name }) => isText(name),
};

/**
 * A frame as it came over the port. Code of a plugin shares its thread with the port and can post what it likes.
 *
 * @throws BrokenFrame
 */
export function checkedFrame(value: unknown): Frame {
  const fields = (typeof value === 'object' && value !== null ? value : {}) as Fields;
  const { kind, id } = fields;
  const check =
    typeof kind === 'string' && Object.hasOwn(CHECKS, kind) ? CHECKS[kind as Frame['kind']] : undefined;
  if (check === undefined) throw new BrokenFrame('it is of no kind that there is');
  if (kind !== 'tell' && !Number.isSafeInteger(id))
    throw new BrokenFrame(`a frame '${kind as string}' has no number`);
  if (!check(fields)) throw new BrokenFrame(`a frame '${kind as string}' lacks what it must hold`);
  return fields as unknown as Frame;
}

/** From this size on a buffer is handed over instead of copied, in bytes; below it the copy is cheaper. */
export const TRANSFER_BYTES: number = 32 * 1024;

/**
 * Bytes in a form that costs one message no more than themselves.
 *
 * @remarks A port clones the whole buffer behind a view, and small Buffers are views of an 8 KiB slab. Bytes that have
 * a large buffer of their own are given away: whoever sends a message has no use for it afterwards.
 * @returns what to post and what to list for transfer.
 */
export function packed(bytes: Uint8Array): { readonly bytes: Uint8Array; readonly transfer: ArrayBuffer[] } {
  const isWhole = bytes.byteLength === bytes.buffer.byteLength && bytes.buffer instanceof ArrayBuffer;
  const own = isWhole ? bytes : Uint8Array.prototype.slice.call(bytes);
  return {
    bytes: own,
    transfer: own.byteLength >= TRANSFER_BYTES ? [own.buffer as ArrayBuffer] : [],
  };
}

/** Metadata whose binary values are exact copies; `undefined` for none. */
export function packedHeaders(headers: CallHeaders | undefined): CallHeaders | undefined {
  if (headers === undefined || headers.size === 0) return undefined;
  const packedOnes: CallHeaders = new Map();
  for (const [name, value] of headers) {
    packedOnes.set(name, typeof value === 'string' ? value : Uint8Array.from(value));
  }
  return packedOnes;
}

/** A status whose details are an exact copy. */
export function packedStatus(status: WireStatus): WireStatus {
  const { code, message, detailsBin, trailers } = status;
  return {
    code,
    message,
    detailsBin: detailsBin === undefined ? undefined : Uint8Array.from(detailsBin),
    trailers: packedHeaders(trailers) ?? new Map(),
  };
}
