import { isEncoding, type MessageEncoding } from './inflate.ts';
import type { HeaderBlock } from '../../wire/http2/protocol.ts';

/** What the header block of a call says; calls that say the same share one. */
export interface RequestHead {
  readonly block: HeaderBlock;
  readonly path: string;
  /** HTTP status with which a request that is no gRPC is refused. */
  readonly httpRefusal: string | undefined;
  /** Time that the client gives the call, in milliseconds; `NaN` when it cannot be read. */
  readonly timeoutMs: number | undefined;
  /** How messages may be compressed; `unknown` is a way nobody here knows. */
  readonly encoding: MessageEncoding | 'identity' | 'unknown';
}

/** Reads a header block (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md, "Requests"). */
export function readHead(block: HeaderBlock): RequestHead {
  return {
    block,
    path: block[':path'] ?? '',
    httpRefusal: httpRefusal(block),
    timeoutMs: timeoutOf(block['grpc-timeout']),
    encoding: encodingOf(block['grpc-encoding']),
  };
}

const CONTENT_TYPE = /^application\/grpc([+;]|$)/;

function httpRefusal(block: HeaderBlock): string | undefined {
  if (block[':method'] !== 'POST') return '405';
  return CONTENT_TYPE.test(block['content-type'] ?? '') ? undefined : '415';
}

const UNIT_MS: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1_000,
  m: 1,
  u: 1e-3,
  n: 1e-6,
};

const TIMEOUT = /^(\d{1,8})([HMSmun])$/;

function timeoutOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const [, digits, unit = ''] = TIMEOUT.exec(text) ?? [];
  return digits === undefined ? Number.NaN : Number(digits) * (UNIT_MS[unit] ?? 0);
}

function encodingOf(name: string | undefined): RequestHead['encoding'] {
  if (name === undefined || name === 'identity') return 'identity';
  return isEncoding(name) ? name : 'unknown';
}
